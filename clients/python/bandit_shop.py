"""A shop with two kinds of visitors, whose demand only this script knows: the tour of docs/bandits.md.

    python3 bandit_shop.py SOCKET FIRST LAST

Prices and rewards the visits FIRST to LAST, and prints what the prices would earn on average, as a share of the best.
"""

import math
import random
import sys

from haggle import Haggle

LOG_ODDS = {"new": lambda price: 4 - 0.07 * price, "loyal": lambda price: 5 - 0.05 * price}
LADDER = range(40, 111, 5)


def expected(kind, price):
    return price / (1 + math.exp(-LOG_ODDS[kind](price)))


def main(socket, first, last):
    luck, earned, best = random.Random(first), 0.0, 0.0
    prices = {"new": [], "loyal": []}
    with Haggle(socket) as shop:
        for visit in range(first, last):
            kind = "loyal" if luck.random() < 0.4 else "new"
            answer = shop.price(f"s{visit}", "cup", attributes={"kind": kind}, log="async")
            price = answer["price_minor"]
            prices[kind].append(price)
            earned += expected(kind, price)
            best += max(expected(kind, rung) for rung in LADDER)
            if luck.random() < expected(kind, price) / price:
                shop.reward(answer["decision"], "purchase", price, units=1)
    means = ", ".join(f"{kind} mean price {sum(shown) / len(shown):.1f}" for kind, shown in prices.items())
    print(f"visits {first} to {last}: {earned / best:.3f} of the best revenue; {means}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
