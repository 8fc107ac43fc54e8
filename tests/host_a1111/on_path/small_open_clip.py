"""A text tower of any size in the place of SDXL's CLIP-G, for random test checkpoints: their yaml names this class.

AUTOMATIC1111 goes by the class's name. Its tokenizer gives ids up to 49407, which are folded into a small vocabulary.
"""

import sgm.modules.encoders.modules as encoders
import torch
from open_clip.transformer import TextTransformer, Transformer


class FoldedEmbedding(torch.nn.Embedding):
    def forward(self, ids):
        return super().forward(ids % self.num_embeddings)


class FrozenOpenCLIPEmbedder2(encoders.FrozenOpenCLIPEmbedder2):
    def __init__(self, width, layers, heads, inner, vocab, device="cpu", max_length=77):
        encoders.AbstractEmbModel.__init__(self)
        sizes = {"width": width, "heads": heads}
        self.model = TextTransformer(max_length, vocab, layers=1, output_dim=width, **sizes)
        self.model.transformer = Transformer(layers=layers, mlp_ratio=inner / width, **sizes)
        self.model.token_embedding = FoldedEmbedding(vocab, width)
        self.device, self.max_length = device, max_length
        self.return_pooled, self.legacy, self.layer, self.layer_idx = True, False, "penultimate", 1
        self.freeze()
