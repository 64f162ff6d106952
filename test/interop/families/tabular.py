"""Networks over columns of numbers and categories."""

import torch
from torch import Tensor, nn


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(12, 16),
        nn.ReLU(),
        nn.Linear(16, 12),
        nn.Tanh(),
        nn.Linear(12, 8, bias=False),
        nn.SELU(),
        nn.Linear(8, 4),
    )


def scikit_learn_regressor() -> nn.Module:
    """What MLPRegressor computes."""
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))


def scikit_learn_classifier() -> nn.Module:
    """The probabilities of MLPClassifier."""
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3), nn.Softmax(-1))


class DLRM(nn.Module):
    """Embeddings of categories and products of all pairs of them."""

    def __init__(self, rows: tuple[int, ...] = (12, 7, 20), width: int = 6):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count, width) for count in rows)
        self.bottom = nn.Sequential(nn.Linear(5, 10), nn.ReLU(), nn.Linear(10, width), nn.ReLU())
        fields = len(rows) + 1
        i, j = torch.tril_indices(fields, fields, -1)
        self.register_buffer("i", i)
        self.register_buffer("j", j)
        self.top = nn.Sequential(nn.Linear(width + len(i), 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        x = self.bottom(numbers)
        fields = torch.stack([x] + [table(categories[:, i]) for i, table in enumerate(self.tables)], dim=1)
        products = torch.bmm(fields, fields.transpose(1, 2))
        return self.top(torch.cat((x, products[:, self.i, self.j]), dim=1)).squeeze(1)
