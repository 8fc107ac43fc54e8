"""Every architecture by its name; a new one is a file beside this one and a row here."""

from ..registry import by_name
from . import coatnet, filter_bank, linear, tangent
from .attention import atms
from .attention.eegconformer import EegConformer, EegConformerConfig
from .context import Encoder
from .convolutional import deep4
from .convolutional.eegnet import Eegnet, EegnetConfig
from .convolutional.resnet1d import Resnet1d, Resnet1dConfig
from .convolutional.shallow_fbcsp import ShallowFbcsp, ShallowFbcspConfig
from .convolutional.ubp_eegnet import UbpEegnet, UbpEegnetConfig
from .convolutional.vbp import Vbp, VbpConfig
from .dense.brain_mlp import BrainMlp, BrainMlpConfig
from .dense.eegproject import EegProject, EegProjectConfig
from .lstm import Lstm, LstmConfig
from .nice import Nice, NiceConfig
from .outside import braindecode_model, reve
from .patch_transformer import PatchTransformer, PatchTransformerConfig

# Every module maps its input to tokens (batch, n_tokens, width) by forward(input, subject=None), subject a LongTensor
# (batch,) of who it is, -1 for someone unknown, or None, and has the attributes config, n_tokens and width.
ENCODERS: dict[str, Encoder] = by_name(
    [
        Encoder("nice", NiceConfig, Nice),
        Encoder("eegproject", EegProjectConfig, EegProject),
        Encoder("atm-s", atms.AtmsConfig, atms.Atms, values=atms.values, by_subject=True),
        Encoder("eegnet", EegnetConfig, Eegnet),
        Encoder("ubp-eegnet", UbpEegnetConfig, UbpEegnet),
        Encoder("eegconformer", EegConformerConfig, EegConformer),
        Encoder("shallow-fbcsp", ShallowFbcspConfig, ShallowFbcsp),
        Encoder("deep4", deep4.Deep4Config, deep4.Deep4, values=deep4.values),
        Encoder("brain-mlp", BrainMlpConfig, BrainMlp),
        Encoder("resnet1d", Resnet1dConfig, Resnet1d),
        Encoder("vbp", VbpConfig, Vbp),
        Encoder("lstm", LstmConfig, Lstm),
        Encoder("coatnet", coatnet.CoatnetConfig, coatnet.Coatnet, "spectrogram", coatnet.values),
        Encoder("patch-transformer", PatchTransformerConfig, PatchTransformer, patches=True),
        Encoder(
            "tangent",
            tangent.TangentConfig,
            tangent.Tangent,
            values=tangent.values,
            fit=tangent.fit_tangent,
            fit_reads_labels=True,
            one_person=tangent.ONE_PERSON,
            least_times=2,
        ),
        Encoder("linear", linear.LinearConfig, linear.Linear, fit=linear.fit_linear, one_person=linear.ONE_PERSON),
        Encoder(
            "filter-bank",
            filter_bank.FilterBankConfig,
            filter_bank.FilterBank,
            values=filter_bank.values,
            fit=filter_bank.fit_filter_bank,
            fit_by_groups=True,
            one_person=filter_bank.ONE_PERSON,
            needs=("classes",),
            least_times=4,
        ),
        Encoder(
            "braindecode",
            braindecode_model.BraindecodeConfig,
            braindecode_model.BraindecodeModel,
            values=braindecode_model.values,
            package="braindecode",
        ),
        Encoder("reve", reve.ReveConfig, reve.Reve, values=reve.values, fit=reve.fit_reve, package="braindecode"),
    ]
)


def encoder_named(name: str) -> Encoder:
    """Return the registry's row of that name; an unknown name raises ValueError with the known ones."""
    if name not in ENCODERS:
        raise ValueError(f"Unknown encoder {name!r}; known: {', '.join(sorted(ENCODERS))}.")
    return ENCODERS[name]


def in_closed_form() -> tuple[str, ...]:
    """Return the names of the architectures that are fitted without gradient descent."""
    return tuple(name for name, row in ENCODERS.items() if row.fit is not None)


def by_gradient_descent() -> tuple[str, ...]:
    """Return the names of the architectures that are trained by gradient descent."""
    return tuple(name for name, row in ENCODERS.items() if row.fit is None)
