"""Trains a foreign model with PyTorch: train_torch_model.py FOLDER [channels_last]"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from models_torch import network
from protocol import Workload, serve

workload = Workload(sys.argv[1])
torch.set_num_threads(workload.threads)
net = network(workload.settings["model"])
net.load_state_dict(torch.load(workload.folder / "weights.pt", weights_only=True))
examples = torch.from_numpy(workload.arrays["input"])
labels = torch.from_numpy(workload.arrays["labels"].astype(np.int64))
if "channels_last" in sys.argv:
    net = net.to(memory_format=torch.channels_last)
    examples = examples.contiguous(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(net.parameters(), lr=workload.learning_rate, fused=True)


def step() -> float:
    optimizer.zero_grad()
    loss = F.cross_entropy(net(examples), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


serve(f"PyTorch {torch.__version__}", step)
