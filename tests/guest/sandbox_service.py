"""A service for tests of the sandbox: it runs the Python it is given."""

import os
import sys


class Service:
    def __init__(self, options):
        self.options = options
        if options.get("raise"):
            raise ValueError(options["raise"])

    def handle(self, method, params):
        if method == "echo":
            return params
        if method == "raise":
            raise RuntimeError("a bug of ours")
        assert method == "run"
        names = {"params": params, "os": os, "sys": sys}
        exec(params["code"], names)
        return {"value": names.get("result")}

    def close(self):
        if "closed" in self.options:
            with open(self.options["closed"], "w") as file:
                file.write("closed")
