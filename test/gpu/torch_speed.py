"""Times the training step of ShakeNet 26 2x32d in PyTorch on this GPU: torch_speed.py RESULTS [SECONDS]"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "interop"))
import shakenet_torch as shakenet

RESULTS, LIMIT = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 240.0
STEPS, CALLS = 20, 5
FORMS = {
    "eager, float32 (TF32)": (torch.contiguous_format, None),
    "eager, channels_last, float32 (TF32)": (torch.channels_last, None),
    "eager, channels_last, autocast float16": (torch.channels_last, torch.float16),
    "eager, channels_last, autocast bfloat16": (torch.channels_last, torch.bfloat16),
}


def step_times(batch: int, memory_format: torch.memory_format, autocast: torch.dtype | None) -> list[float]:
    """Milliseconds a step, one number for each call of STEPS steps."""
    # PyTorch's own batch normalisation is its fastest
    shakenet.BatchNorm = torch.nn.BatchNorm2d
    net = shakenet.ShakeNet(26, 32, mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7])
    net = net.cuda().train().to(memory_format=memory_format)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, nesterov=True)
    scaler = torch.amp.GradScaler(enabled=autocast is torch.float16)
    images = torch.randint(0, 256, (batch, 3, 32, 32), device="cuda").float()
    images = images.contiguous(memory_format=memory_format)
    labels = torch.randint(0, 10, (batch,), device="cuda")

    def step() -> None:
        alpha, beta = torch.rand(2, 12, batch, device="cuda")
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=autocast or torch.float16, enabled=autocast is not None):
            loss = F.cross_entropy(net(images, alpha, beta), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    for _ in range(5):
        step()
    times = []
    for _ in range(CALLS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / STEPS * 1000)
    return times


def main() -> None:
    began = time.monotonic()
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    found: dict = {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "steps a call": STEPS,
        "speed": [],
    }
    for batch in (512, 128):
        for form, (memory_format, autocast) in FORMS.items():
            if time.monotonic() - began > LIMIT:
                print("out of time", flush=True)
                break
            times = step_times(batch, memory_format, autocast)
            median = statistics.median(times)
            row = {"form": form, "batch": batch, "ms": [round(t, 2) for t in times], "images/s": round(batch / median * 1000)}
            print(row, flush=True)
            found["speed"].append(row)
            (RESULTS / "pytorch.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
