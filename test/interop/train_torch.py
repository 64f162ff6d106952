"""Trains ShakeNet on CIFAR-10 in PyTorch: a loop that shares no code with ours, for comparisons of accuracy.

    train_torch.py --data DIR [--device cuda] [--repeat 3] SETTINGS...      one setting, seeds 1 to 3
    train_torch.py --data DIR --queue FILE [--share 0/4]                    a line of settings a run

The settings have the names that `shake train` gives them. Each run prints one line of JSON. On CUDA a step is
one graph of kernels, in bfloat16 where `--precision mixed` is given.
"""

import argparse
import json
import math
import shlex
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import shakenet_torch as shakenet


def settings_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("--name", default="")
    add("--depth", type=int, default=8)
    add("--width", type=int, default=16)
    add("--stem", choices=["paper", "whitening-2", "whitening-3", "whitening-pool"], default="paper")
    add("--stem-stride", type=int, default=1)
    add("--downsampling", choices=["stride", "max-pool"], default="stride")
    add("--activation", choices=["relu", "gelu"], default="relu")
    add("--epochs", type=int, default=4)
    add("--batch-size", type=int, default=128)
    add("--learning-rate", type=float, default=0.2)
    add("--optimizer", choices=["sgd-nesterov", "muon"], default="sgd-nesterov")
    add("--muon-rate", type=float, default=0.1, help="learning rate of the filters that Muon updates")
    add("--muon-decay", type=float, default=None, help="decoupled weight decay of Muon; without it, filters keep one norm")
    add("--newton-schulz", type=int, default=3, help="iterations of Muon")
    add("--muon-all", action="store_true", help="Muon for the filters of 1x1 too")
    add("--momentum", type=float, default=0.9)
    add("--weight-decay", type=float, default=1e-4)
    add("--norm-decay", type=float, default=None)
    add("--bias-rate", type=float, default=1)
    add("--schedule", choices=["cosine", "linear"], default="cosine")
    add("--warm-up", type=float, default=0)
    add("--final-rate", type=float, default=0)
    add("--label-smoothing", type=float, default=0)
    add("--flip", choices=["random", "alternating", "none"], default="random")
    add("--translate", type=int, default=4)
    add("--border", choices=["mean", "reflect"], default="mean")
    add("--cutout", type=int, default=0)
    add("--small", type=float, default=0, help="share of the epochs in which images are scaled to --small-size")
    add("--small-size", type=int, default=24)
    add("--dirac", action="store_true")
    add("--norm-momentum", type=float, default=0.1)
    add("--forward", choices=["shake", "even"], default="shake")
    add("--backward", choices=["shake", "even", "keep"], default="shake")
    add("--shake-schedule", choices=["constant", "growing", "shrinking", "early", "late"], default="constant")
    add("--shake-range", type=float, default=0.5)
    add("--ema", type=float, default=0, help="decay of an average of the weights; 0 for none")
    add("--lookahead", type=int, default=0, help="steps between two pulls of the slow weights; 0 for none")
    add("--train-limit", type=int, default=50_000)
    add("--precision", choices=["float32", "mixed"], default="float32")
    add("--every", type=int, default=0, help="evaluate every N epochs; 0 for only after the last")
    add("--repeat", type=int, default=1)
    add("--seed", type=int, default=1)
    return parser


def read_cifar(folder: Path, names: list[str], device: str) -> tuple[Tensor, Tensor]:
    """Pixels uint8 [images, 3, 32, 32], and labels."""
    rows = torch.cat([torch.frombuffer(bytearray((folder / name).read_bytes()), dtype=torch.uint8) for name in names])
    rows = rows.view(-1, 3073).to(device)
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].long()


def whitening(images: Tensor, mean: Tensor, std: Tensor, kernel: int) -> Tensor:
    """The eigenvectors of the patches' second moment over the roots of their eigenvalues, and their negatives."""
    pixels = ((images[:1000].double() - mean.double()) / std.double()).cpu()
    patches = F.unfold(pixels, kernel).transpose(1, 2).reshape(-1, 3 * kernel**2)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (values + 5e-4).sqrt()).T.reshape(-1, 3, kernel, kernel).float()
    return torch.cat([filters, -filters])


class WhiteningStem(nn.Module):
    def __init__(self, filters: Tensor, stride: int):
        super().__init__()
        self.register_buffer("weight", filters)
        self.bias = nn.Parameter(torch.zeros(len(filters)))
        before = (filters.shape[-1] - 1) // 2
        after = filters.shape[-1] - 1 - before
        self.pads, self.stride = (before, after, before, after), stride

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, self.pads), self.weight, self.bias, self.stride)


class PooledStem(WhiteningStem):
    """Whitening of 2x2 without a bias - activation - conv3x3 - 2x2 max pooling - BN"""

    def __init__(self, filters: Tensor, stride: int, channels: int):
        super().__init__(filters, stride)
        self.bias = None
        self.conv2 = nn.Conv2d(len(filters), channels, 3, padding=1, bias=False)
        self.bn = shakenet.BatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(F.max_pool2d(self.conv2(shakenet.activation(super().forward(x))), 2))


class PooledBlock(shakenet.Block):
    """A block behind 2x2 max pooling."""

    def forward(self, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        return super().forward(F.max_pool2d(x, 2), alpha, beta)


def network(s: argparse.Namespace, images: Tensor, mean: Tensor, std: Tensor) -> shakenet.ShakeNet:
    """With the initialization of the author's code."""
    shakenet.activation = shakenet.gelu if s.activation == "gelu" else shakenet.F.relu
    net = shakenet.ShakeNet(s.depth, s.width, mean=mean.flatten().tolist(), std=std.flatten().tolist())
    if s.stem != "paper":
        pools = s.stem == "whitening-pool"
        filters = whitening(images, mean, std, 3 if s.stem == "whitening-3" else 2)
        net.stem = PooledStem(filters, s.stem_stride, s.width) if pools else WhiteningStem(filters, s.stem_stride)
        net.stage1.block0 = shakenet.Block(s.width if pools else len(filters), s.width, 1)
    if s.downsampling == "max-pool":
        net.stage2.block0 = PooledBlock(s.width, 2 * s.width, 1)
        net.stage3.block0 = PooledBlock(2 * s.width, 4 * s.width, 1)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))
            if s.dirac and module.kernel_size[0] == 3:
                nn.init.dirac_(module.weight[: module.in_channels].data)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = s.norm_momentum
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return net


def forward(net: shakenet.ShakeNet, pixels: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Normalised pixels to logits, for maps of any size."""
    x = net.stem(pixels)
    blocks = [block for stage in (net.stage1, net.stage2, net.stage3) for block in stage.children()]
    for i, block in enumerate(blocks):
        x = block(x, alpha[i].to(x.dtype), beta[i].to(x.dtype))
    return net.fc(shakenet.activation(x).mean((2, 3)))


def strength(s: argparse.Namespace, step: int, steps: int) -> float:
    progress = step / max(1, steps - 1)
    early = 1.0 if 2 * step < steps else 0.0
    share = {"constant": 1, "growing": progress, "shrinking": 1 - progress, "early": early, "late": 1 - early}
    return 2 * s.shake_range * share[s.shake_schedule]


def rate(s: argparse.Namespace, step: int, steps: int) -> float:
    warm = round(s.warm_up * steps)
    end = s.final_rate * s.learning_rate
    if step < warm:
        return s.learning_rate * step / warm
    share = (step - warm) / max(1, steps - warm)
    if s.schedule == "linear":
        return s.learning_rate + (end - s.learning_rate) * share
    return end + 0.5 * (s.learning_rate - end) * (1 + math.cos(math.pi * share))


def orthogonal(gradient: Tensor, iterations: int) -> Tensor:
    """About the nearest half-orthogonal matrix of filters, by Newton-Schulz iterations (Muon, Jordan 2024)."""
    x = gradient.flatten(1).bfloat16()
    x = x / (x.norm() + 1e-7)
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    for _ in range(iterations):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.T if is_tall else x).float().view_as(gradient)


class Optimizer:
    """Nesterov's momentum as torch.optim.SGD has it; the learning rate is a tensor, for a graph of kernels."""

    def __init__(self, net: nn.Module, s: argparse.Namespace, device: str):
        convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
        filters = [m.weight for m in convolutions if s.muon_all or m.kernel_size[0] == 3]
        self.filters = filters if s.optimizer == "muon" else []
        self.filter_momenta = [torch.zeros_like(p) for p in self.filters]
        self.filter_factor = s.muon_rate / s.learning_rate
        own = {id(p) for p in self.filters}
        norms = {id(p) for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()}
        norm_decay = s.weight_decay if s.norm_decay is None else s.norm_decay
        biases = {id(m.bias) for m in net.modules() if isinstance(m, (nn.BatchNorm2d, WhiteningStem))}
        self.rate = torch.zeros((), device=device)
        self.decay, self.iterations = s.muon_decay, s.newton_schulz
        self.momentum = s.momentum
        self.groups = []
        for chosen, factor, decay in (
            (lambda p: id(p) in biases, s.bias_rate, norm_decay / s.bias_rate),
            (lambda p: id(p) in norms and id(p) not in biases, 1, norm_decay),
            (lambda p: id(p) not in norms and id(p) not in biases, 1, s.weight_decay),
        ):
            parameters = [p for p in net.parameters() if chosen(p) and id(p) not in own]
            if parameters:
                self.groups.append((parameters, [torch.zeros_like(p) for p in parameters], factor, decay))

    @torch.no_grad()
    def step(self) -> None:
        for p, momentum in zip(self.filters, self.filter_momenta, strict=True):
            momentum.mul_(self.momentum).add_(p.grad)
            rate = self.rate * self.filter_factor
            p.mul_(len(p) ** 0.5 / p.norm() if self.decay is None else 1 - rate * self.decay)
            p.sub_(orthogonal(p.grad + self.momentum * momentum, self.iterations) * rate)
        for parameters, momenta, factor, decay in self.groups:
            gradients = torch._foreach_add([p.grad for p in parameters], parameters, alpha=decay)
            torch._foreach_mul_(momenta, self.momentum)
            torch._foreach_add_(momenta, gradients)
            torch._foreach_add_(gradients, momenta, alpha=self.momentum)
            torch._foreach_mul_(gradients, self.rate * factor)
            torch._foreach_sub_(parameters, gradients)


class Augmenter:
    """The training images of an epoch in a new order, as normalised pixels."""

    def __init__(self, s: argparse.Namespace, images: Tensor, labels: Tensor, mean: Tensor, std: Tensor):
        pixels = (images.float() - mean) / std
        pads = (s.translate,) * 4
        self.padded = F.pad(pixels, pads, mode="reflect") if s.border == "reflect" and s.translate else F.pad(pixels, pads)
        self.s, self.labels = s, labels
        self.turns = torch.rand(len(images), device=images.device) < 0.5

    def epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        s, padded = self.s, self.padded
        count, device = len(padded), padded.device
        shifts = torch.randint(0, 2 * s.translate + 1, (2, count), device=device)
        out = torch.empty(count, 3, 32, 32, device=device)
        for top in range(2 * s.translate + 1):
            for left in range(2 * s.translate + 1):
                chosen = (shifts[0] == top) & (shifts[1] == left)
                out[chosen] = padded[chosen, :, top : top + 32, left : left + 32]
        if s.flip != "none":
            turned = self.turns if s.flip == "alternating" else torch.rand(count, device=device) < 0.5
            if s.flip == "alternating" and epoch % 2 == 1:
                turned = ~turned
            out = torch.where(turned.view(-1, 1, 1, 1), out.flip(3), out)
        if s.cutout:
            centres = torch.randint(0, 32, (2, count, 1, 1), device=device)
            half, places = s.cutout // 2, torch.arange(32, device=device)
            rows = (places.view(1, 32, 1) >= centres[0] - half) & (places.view(1, 32, 1) < centres[0] - half + s.cutout)
            columns = (places.view(1, 1, 32) >= centres[1] - half) & (places.view(1, 1, 32) < centres[1] - half + s.cutout)
            out.masked_fill_((rows & columns).unsqueeze(1), 0)
        order = torch.randperm(count, device=device)
        return out[order], self.labels[order]


class Step:
    """One training step over buffers; on CUDA a graph of kernels."""

    def __init__(self, s: argparse.Namespace, net: nn.Module, optimizer: Optimizer, device: str, batch: int, blocks: int, side: int = 32):
        self.s, self.net, self.optimizer, self.device = s, net, optimizer, device
        self.pixels = torch.zeros(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
        self.labels = torch.zeros(batch, dtype=torch.long, device=device)
        self.strength = torch.zeros((), device=device)
        self.correct = torch.zeros((), device=device)
        self.shape = (blocks, batch)
        self.graph = None

    def run(self, pixels: Tensor, labels: Tensor, learning_rate: float, noise: float) -> None:
        self.pixels.copy_(pixels)
        self.labels.copy_(labels)
        self.optimizer.rate.fill_(learning_rate)
        self.strength.fill_(noise)
        if self.graph is None:
            self.once()
        else:
            self.graph.replay()

    def capture(self) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.once()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.once()

    def once(self) -> None:
        s = self.s
        draws = 0.5 + self.strength * (torch.rand(2, *self.shape, device=self.device) - 0.5)
        half = torch.full(self.shape, 0.5, device=self.device)
        alpha = draws[0] if s.forward == "shake" else half
        beta = {"shake": draws[1], "even": half, "keep": alpha}[s.backward]
        for p in self.net.parameters():
            p.grad = None
        with torch.autocast(self.device, torch.bfloat16, s.precision == "mixed", cache_enabled=False):
            logits = forward(self.net, self.pixels, alpha, beta).float()
        F.cross_entropy(logits, self.labels, label_smoothing=s.label_smoothing).backward()
        self.correct += (logits.argmax(1) == self.labels).sum()
        self.optimizer.step()


class Average:
    """An exponential moving average of weights and statistics, or lookahead as airbench has it."""

    def __init__(self, s: argparse.Namespace, net: nn.Module):
        self.s = s
        self.fast = [t for t in [*net.parameters(), *net.buffers()] if t.is_floating_point()]
        self.slow = [t.detach().clone() for t in self.fast]

    @torch.no_grad()
    def after(self, step: int, steps: int) -> None:
        s = self.s
        if s.ema:
            torch._foreach_lerp_(self.slow, self.fast, 1 - min(s.ema, (1 + step) / (10 + step)))
        elif s.lookahead and (step + 1) % s.lookahead == 0:
            decay = 0.95**s.lookahead * ((step + 1) / steps) ** 3
            torch._foreach_lerp_(self.slow, self.fast, 1 - decay)
            torch._foreach_copy_(self.fast, self.slow)

    @torch.no_grad()
    def finish(self) -> None:
        if self.s.ema:
            torch._foreach_copy_(self.fast, self.slow)
        elif self.s.lookahead:
            torch._foreach_copy_(self.fast, self.slow)


@torch.no_grad()
def plain_accuracy(net: nn.Module, pixels: Tensor, labels: Tensor, blocks: int, precision: str) -> float:
    """In percent, of the images as they are."""
    net.eval()
    correct = 0
    for x, y in zip(pixels.split(1000), labels.split(1000), strict=True):
        half = torch.full((blocks, len(x)), 0.5, device=x.device)
        with torch.autocast(x.device.type, torch.bfloat16, precision == "mixed", cache_enabled=False):
            correct += int((forward(net, x, half, half).argmax(1) == y).sum())
    net.train()
    return 100 * correct / len(labels)


@torch.no_grad()
def accuracy(net: nn.Module, pixels: Tensor, labels: Tensor, blocks: int, precision: str) -> tuple[float, ...]:
    """In percent: of the images, with their mirror images, and with both moved by a pixel to two corners too."""
    net.eval()
    plain = mirrored = shifted = 0
    for x, y in zip(pixels.split(1000), labels.split(1000), strict=True):
        half = torch.full((blocks, len(x)), 0.5, device=x.device)
        with torch.autocast(x.device.type, torch.bfloat16, precision == "mixed", cache_enabled=False):
            logits, turned = forward(net, x, half, half).float(), forward(net, x.flip(3), half, half).float()
            moved = F.pad(x, (1, 1, 1, 1), mode="reflect")
            corners = [moved[:, :, i : i + x.shape[2], i : i + x.shape[3]] for i in (0, 2)]
            more = sum(forward(net, c, half, half).float() + forward(net, c.flip(3), half, half).float() for c in corners)
        shifted += int((logits + turned + more / 2).argmax(1).eq(y).sum())
        plain += int((logits.argmax(1) == y).sum())
        mirrored += int((logits.softmax(1) + turned.softmax(1)).argmax(1).eq(y).sum())
    net.train()
    return tuple(100 * count / len(labels) for count in (plain, mirrored, shifted))


class Kept:
    """The state after an epoch in a file, where a training that was cut goes on; nothing without a file."""

    def __init__(self, file: Path | None, tensors: list[Tensor]):
        self.file, self.tensors = file, tensors

    def load(self) -> dict:
        if self.file is None or not self.file.exists():
            return {"epoch": 0, "curve": [], "seconds": 0.0}
        kept = torch.load(self.file)
        torch.set_rng_state(kept["random"])
        with torch.no_grad():
            for tensor, value in zip(self.tensors, kept["tensors"], strict=True):
                tensor.copy_(value)
        return kept

    def save(self, **progress: object) -> None:
        if self.file is None:
            return
        part = self.file.with_suffix(".part")
        torch.save({"tensors": self.tensors, "random": torch.get_rng_state(), **progress}, part)
        part.replace(self.file)


def train(s: argparse.Namespace, data: dict, device: str, state: Path | None = None) -> dict:
    torch.manual_seed(s.seed)
    images, labels = data["images"][: s.train_limit], data["labels"][: s.train_limit]
    mean, std = data["mean"], data["std"]
    blocks = (s.depth - 2) // 2
    net = network(s, images, mean, std).to(device).train().to(memory_format=torch.channels_last)
    batch = min(s.batch_size, len(images))
    per_epoch = len(images) // batch
    steps = per_epoch * s.epochs
    optimizer = Optimizer(net, s, device)
    big = Step(s, net, optimizer, device, batch, blocks)
    small = Step(s, net, optimizer, device, batch, blocks, s.small_size) if s.small else big
    if device == "cuda":
        # the warm-up steps of a capture change the weights
        kept = {name: value.clone() for name, value in net.state_dict().items()}
        big.capture()
        if s.small:
            small.capture()
        net.load_state_dict(kept)
        for momentum in optimizer.filter_momenta:
            momentum.zero_()
        for _, momenta, _, _ in optimizer.groups:
            torch._foreach_zero_(momenta)
    average = Average(s, net)
    augmenter = Augmenter(s, images, labels, mean, std)
    test = ((data["test images"].float() - mean) / std).contiguous(memory_format=torch.channels_last)
    momenta = [m for group in (optimizer.filter_momenta, *(g[1] for g in optimizer.groups)) for m in group]
    kept = Kept(state, [*net.state_dict().values(), *momenta, *average.slow, augmenter.turns])
    progress = kept.load()
    curve, began, done = progress["curve"], time.monotonic() - progress["seconds"], progress["epoch"] * per_epoch
    for epoch in range(progress["epoch"], s.epochs):
        step = small if epoch < s.small * s.epochs else big
        step.correct.zero_()
        pixels, targets = augmenter.epoch(epoch)
        if step is not big:
            pixels = F.interpolate(pixels, size=s.small_size, mode="bilinear", antialias=True)
        for i in range(per_epoch):
            part = slice(i * batch, (i + 1) * batch)
            step.run(pixels[part], targets[part], rate(s, done, steps), strength(s, done, steps))
            average.after(done, steps)
            done += 1
        if s.every and (epoch + 1) % s.every == 0 and epoch + 1 < s.epochs:
            curve.append(round(plain_accuracy(net, test, data["test labels"], blocks, s.precision), 2))
        if epoch + 1 < s.epochs:
            kept.save(epoch=epoch + 1, curve=curve, seconds=time.monotonic() - began)
    train_accuracy = 100 * float(step.correct) / (per_epoch * batch)
    average.finish()
    plain, mirrored, shifted = accuracy(net, test, data["test labels"], blocks, s.precision)
    seconds = time.monotonic() - began
    return {
        "name": s.name, "seed": s.seed, "test": round(plain, 2), "mirrored": round(mirrored, 2), "shifted": round(shifted, 2),
        "train": round(train_accuracy, 2), "curve": [*curve, round(plain, 2)], "seconds": round(seconds, 1),
        "images/s": round(done * batch / seconds),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(parents=[settings_parser()])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--queue", type=Path)
    parser.add_argument("--share", default="0/1", help="K/N: take the lines K, K + N, ... of the queue")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--state", type=Path, help="on a CPU: the state after each epoch, to go on from; removed at the end")
    parser.add_argument("--until", type=float, default=math.inf, help="start no run after so many seconds")
    args = parser.parse_args()
    if args.state and args.device != "cpu":
        parser.error("--state is for a CPU")
    began = time.monotonic()
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    # PyTorch's own batch normalisation is its fastest
    shakenet.BatchNorm = nn.BatchNorm2d
    images, labels = read_cifar(args.data, [f"data_batch_{i}.bin" for i in range(1, 6)], args.device)
    test_images, test_labels = read_cifar(args.data, ["test_batch.bin"], args.device)
    pixels = images.float()
    data = {
        "images": images, "labels": labels, "test images": test_images, "test labels": test_labels,
        "mean": pixels.mean((0, 2, 3), keepdim=True), "std": pixels.std((0, 2, 3), keepdim=True),
    }  # fmt: skip
    del pixels
    rows = [sys.argv[1:]]
    if args.queue:
        k, n = map(int, args.share.split("/"))
        lines = [line for line in args.queue.read_text().splitlines() if line and not line.startswith("#")]
        rows = [shlex.split(line) for line in lines[k::n]]
    for row in rows:
        settings = settings_parser().parse_known_args(row)[0]
        for repeat in range(settings.repeat):
            if time.monotonic() - began > args.until:
                return
            one = argparse.Namespace(**{**vars(settings), "seed": settings.seed + repeat})
            result = json.dumps(train(one, data, args.device, args.state))
            print(result, flush=True)
            if args.state:
                args.state.unlink(missing_ok=True)
            if args.out:
                with args.out.open("a") as file:
                    file.write(result + "\n")


if __name__ == "__main__":
    main()
