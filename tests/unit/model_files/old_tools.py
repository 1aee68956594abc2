import math


def shout(text):
    return text.upper()


def file_is_there(path):
    return math.isfinite(len(path))
