"""The host's text encoder as core takes it."""

from collections.abc import Callable
from typing import Any


def prompt_encoder(clip: Any) -> Callable[[list[str]], tuple[Any, Any]]:
    """Return a function from prompts to context (n, tokens, width) and the pooled vector (n, width) or None."""
    import torch

    from ...core.conditioning.blending import pad_tokens

    def encode(prompts: list[str]) -> tuple[Any, Any]:
        contexts, pooled = zip(
            *(clip.encode_from_tokens(clip.tokenize(prompt), return_pooled=True) for prompt in prompts), strict=True
        )
        longest = max(context.shape[1] for context in contexts)
        together = torch.cat([pad_tokens(context, longest) for context in contexts])
        return together, None if any(one is None for one in pooled) else torch.cat(pooled)

    return encode
