"""Train a small network to read handwritten digits.

    python train.py --epochs 10 --out digits.safetensors

The data are the 1,797 scanned digits that scikit-learn ships; a fifth of them is held out.
"""

import argparse

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


def main() -> None:
    """Load, train, evaluate after every epoch, save."""
    parser = argparse.ArgumentParser(description="Train on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="digits.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)

    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)  # [1797, 64]
    labels = torch.tensor(digits.target)  # [1797]
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=0.2, random_state=0
    )

    model = nn.Sequential(nn.Linear(64, args.hidden), nn.ReLU(), nn.Linear(args.hidden, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        order = torch.randperm(len(train_x))
        for start in range(0, len(order), args.batch_size):
            rows = order[start : start + args.batch_size]
            loss = F.cross_entropy(model(train_x[rows]), train_y[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(rows)
        train_loss = total / len(train_x)

        model.eval()
        with torch.no_grad():
            scores = model(test_x)  # [360, 10]
            test_loss = F.cross_entropy(scores, test_y).item()
            accuracy = (scores.argmax(dim=1) == test_y).float().mean().item()
        print(
            f"epoch {epoch}: loss {train_loss:.6f}, "
            f"test loss {test_loss:.6f}, accuracy {accuracy:.4f}"
        )

    save_file(model.state_dict(), args.out)
    print(f"saved {args.out}")


if __name__ == "__main__":
    main()
