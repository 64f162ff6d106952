"""Small networks over tokens, patches and series: attention and recurrence."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORDS = 30
PADDING = 0


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        split = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        x = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width)
        return self.project(x)


class Layer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, width: int = 16):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.class_token = nn.Parameter(0.1 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.1 * torch.randn(1, 17, width))
        self.layers = nn.ModuleList([Layer(width), Layer(width)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), dim=1) + self.position
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


class Bert(nn.Module):
    """A classifier that ignores padding."""

    def __init__(self, width: int = 16, length: int = 10):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.position = nn.Embedding(length, width)
        self.layers = nn.ModuleList([Layer(width), Layer(width)])
        self.pooler = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.position(torch.arange(tokens.shape[1], device=tokens.device))
        mask = (tokens != PADDING)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(torch.tanh(self.pooler(x[:, 0])))


class SelfAttention(nn.Module):
    """Queries, keys and values by layers of their own, and a mask of numbers, as transformers' BERT has them."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        def apart(value: Tensor) -> Tensor:
            batch, length, width = value.shape
            return value.view(batch, length, self.heads, width // self.heads).permute(0, 2, 1, 3)

        q, k, v = apart(self.query(x)), apart(self.key(x)), apart(self.value(x))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
        mixed = (scores.softmax(-1) @ v).permute(0, 2, 1, 3).contiguous()
        return mixed.view(*mixed.shape[:2], -1)


class PostNormLayer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.attention = SelfAttention(width, 2)
        self.project = nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.norm1(self.project(self.attention(x, mask)) + x)
        return self.norm2(self.narrow(F.gelu(self.wide(x))) + x)


class PostNormBert(nn.Module):
    """The graph of transformers' BERT, which ONNX Runtime's optimizers know: a mask and segments beside the words, and
    normalisation behind each sum."""

    def __init__(self, width: int = 16, length: int = 10):
        super().__init__()
        self.words, self.position = nn.Embedding(WORDS, width), nn.Embedding(length, width)
        self.segment = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width)
        self.register_buffer("places", torch.arange(length)[None])
        self.layers = nn.ModuleList([PostNormLayer(width), PostNormLayer(width)])
        self.head = nn.Linear(width, 4)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        x = self.words(input_ids) + self.segment(token_type_ids) + self.position(self.places)
        x = self.norm(x)
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(x[:, 0])


class TorchEncoder(nn.Module):
    """PyTorch's own encoder layers with a mask of padding."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        layer = nn.TransformerEncoderLayer(width, 2, 32, 0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 4)

    def embedded(self, tokens: Tensor) -> Tensor:
        return self.words(tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == PADDING
        x = self.encoder(self.embedded(tokens), src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1).to(x.dtype)
        return self.head((x * kept).sum(1) / kept.sum(1))


class GPT(nn.Module):
    """The next token at each place: scores [batch, token, place]."""

    def __init__(self, width: int = 16, length: int = 10):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.position = nn.Parameter(0.1 * torch.randn(length, width))
        self.layers = nn.ModuleList([Layer(width), Layer(width)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, WORDS, bias=False)
        self.register_buffer("mask", torch.ones(length, length, dtype=torch.bool).tril())

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.words(tokens) + self.position[:length]
        for layer in self.layers:
            x = layer(x, self.mask[:length, :length])
        return self.head(self.norm(x)).transpose(1, 2)


class FusedGPT(nn.Module):
    """One layer with PyTorch's causal scaled_dot_product_attention and its approximate GELU."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(width, 32), nn.GELU(approximate="tanh"), nn.Linear(32, WORDS))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens)
        q, k, v = (layer(x).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.mlp(x + mixed.transpose(1, 2).flatten(2)).transpose(1, 2)


class Recurrent(nn.Module):
    """A classifier of sequences by the last state of an LSTM, a GRU or a plain recurrent network."""

    def __init__(self, kind: type[nn.RNNBase], bidirectional: bool = False, layers: int = 1):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 8)
        self.recurrent = kind(8, 6, layers, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(12 if bidirectional else 6, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        outputs, _ = self.recurrent(self.embedding(tokens))
        return self.head(outputs.mean(dim=1))
