"""Two functions that a cascade calls as tools: plain Python that knows nothing of Windlass."""

VAT = {"DE": 0.19, "FR": 0.20, "SE": 0.25}


def quote(items: list[dict], country: str, discounts: dict[str, float]) -> dict:
    """What `items` cost with VAT; `discounts` is taken off from that many pieces on."""
    net = 0.0
    for item in items:
        off = max((share for count, share in discounts.items() if item["count"] >= int(count)), default=0.0)
        net += item["price"] * item["count"] * (1 - off)
    return {"net": round(net, 2), "vat": round(net * VAT[country], 2), "total": round(net * (1 + VAT[country]), 2)}


def letter(total: float, currency: str) -> str:
    """A sentence for the customer."""
    return f"We can offer this at {total:.2f} {currency}."
