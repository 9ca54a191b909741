"""Let a trained model write: a model.safetensors of `torchbed train` is an ordinary file.

python examples/bytes-gpt/continue_text.py out/bytes-gpt/model.safetensors --preset tiny
"""

import argparse

import torch
from bytes_gpt_model import PRESETS, BytesGpt, readable
from safetensors.torch import load_file


def main() -> None:
    """Print the prompt and what the model makes of it."""
    parser = argparse.ArgumentParser(description="Continue a prompt with a trained model.")
    parser.add_argument("artifact", help="model.safetensors of a run")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="25m")
    parser.add_argument("--prompt", default="def ")
    parser.add_argument("--length", type=int, default=400, help="bytes to write")
    parser.add_argument("--temperature", type=float, default=0.8, help="above 0; higher is wilder")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    if not args.prompt or args.temperature <= 0:
        parser.error("the prompt needs a byte, and the temperature must be above 0")
    torch.set_num_threads(1)
    model = BytesGpt(PRESETS[args.preset])
    model.load_state_dict(load_file(args.artifact))
    prompt = args.prompt.encode()
    print(readable(prompt + model.generate(prompt, args.length, args.temperature, args.seed)))


if __name__ == "__main__":
    main()
