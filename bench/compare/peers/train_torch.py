"""Trains with PyTorch: train_torch.py FOLDER [channels_last] [compiled] [evaluate]"""

import sys

import torch
import torch.nn.functional as F
from protocol import Setup, serve
from torch import Tensor, nn


class ShakeShake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, branch1: Tensor, branch2: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(beta)
        return torch.lerp(branch2, branch1, alpha)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (beta,) = ctx.saved_tensors
        first = beta * grad
        return first, grad - first, None, None


class Branch(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, activated: Tensor) -> Tensor:
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(activated)), inplace=True)))


class Shortcut(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, outputs // 2, 1, stride, bias=False)
        self.conv2 = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, activated: Tensor) -> Tensor:
        shifted = F.pad(activated, (1, -1, 1, -1))[:, :, :: self.stride, :: self.stride]
        return self.bn(torch.cat([self.conv1(activated), self.conv2(shifted)], 1))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.branch1 = Branch(inputs, outputs, stride)
        self.branch2 = Branch(inputs, outputs, stride)
        self.shortcut = None if inputs == outputs else Shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        activated = F.relu(x)
        mixed = ShakeShake.apply(self.branch1(activated), self.branch2(activated), alpha, beta)
        return (x if self.shortcut is None else self.shortcut(activated)) + mixed


class ShakeNet(nn.Module):
    def __init__(self, setup: Setup):
        super().__init__()
        for name, values in (("mean", setup.mean), ("std", setup.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        self.stem = nn.ModuleDict({"conv": nn.Conv2d(3, 16, 3, padding=1, bias=False), "bn": nn.BatchNorm2d(16)})
        stages = {}
        for path, *sizes in setup.blocks():
            stage, block = path.split(".")
            stages.setdefault(stage, nn.ModuleDict())[block] = Block(*sizes)
        self.stages = nn.ModuleList(stages.values())
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.fc = nn.Linear(4 * setup.width, 10)

    def forward(self, images: Tensor, labels: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        x = (images - self.mean) / self.std
        x = self.stem["bn"](self.stem["conv"](x))
        blocks = [block for stage in self.stages for block in stage.values()]
        for block, block_alpha, block_beta in zip(blocks, alpha, beta, strict=True):
            x = block(x, block_alpha.view(-1, 1, 1, 1), block_beta.view(-1, 1, 1, 1))
        return F.cross_entropy(self.fc(F.relu(x).mean((2, 3))), labels)


setup = Setup(sys.argv[1])
torch.set_num_threads(setup.threads)
net = ShakeNet(setup)
weights = {name: torch.from_numpy(array) for name, array in setup.arrays.items()}
unknown = net.load_state_dict(weights, strict=False).unexpected_keys
assert not unknown, unknown
batch = [torch.from_numpy(array) for array in (setup.images, setup.labels, setup.alpha, setup.beta)]
if "channels_last" in sys.argv:
    net = net.to(memory_format=torch.channels_last)
    batch[0] = batch[0].contiguous(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(
    net.parameters(),
    lr=setup.learning_rate,
    momentum=setup.momentum,
    weight_decay=setup.weight_decay,
    nesterov=True,
    fused=True,
)
model = torch.compile(net) if "compiled" in sys.argv else net


def step() -> float:
    optimizer.zero_grad()
    loss = model(*batch)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def evaluate() -> float:
    net.eval()
    images, labels, alpha, _ = batch
    half = torch.full_like(alpha, 0.5)
    return model(images, labels, half, half).item()


serve(f"PyTorch {torch.__version__}", evaluate if "evaluate" in sys.argv else step)
