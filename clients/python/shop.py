"""A shop that prices and rewards through a daemon that may die at any time, and compares its own sum with the store's.

    python3 shop.py SOCKET SESSIONS ITEM...

Prints one JSON object: what the shop earned by its own books, what the store says, and how often it had to connect again.
"""

import json
import random
import sys

from haggle import Haggle


def main():
    path, sessions, items = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    shoppers = random.Random(7)
    earned, decisions = 0, []
    with Haggle(path) as shop:
        for number in range(sessions):
            for item in items:
                price = shop.price(session=f"s{number}", user=f"u{number % 50}", item=item, decision=f"{number}-{item}")
                decisions.append(price["decision"])
                if shoppers.random() < 0.3:
                    units = shoppers.choice([1, 1, 2])
                    value_minor = units * price["price_minor"]
                    shop.reward(price["decision"], "sale", value_minor, units)
                    earned += value_minor
                    if shoppers.random() < 0.1:
                        shop.reward(price["decision"], "return", -value_minor)
                        earned -= value_minor
        stored = sum(shop.get(decision)["value_minor"] for decision in decisions)
        print(json.dumps({"earned": earned, "stored": stored, "decisions": len(decisions), "reconnects": shop.reconnects}))


if __name__ == "__main__":
    main()
