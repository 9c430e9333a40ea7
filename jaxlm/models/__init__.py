"""One transformer, or a pair of them; families are values."""

from jaxlm.models.families.albert import albert
from jaxlm.models.families.bert import bert
from jaxlm.models.families.electra import electra
from jaxlm.models.families.gemma import gemma
from jaxlm.models.families.gpt2 import gpt2
from jaxlm.models.families.gpt3 import gpt3
from jaxlm.models.families.llama import llama
from jaxlm.models.families.llama3 import llama3
from jaxlm.models.families.mixtral import mixtral
from jaxlm.models.families.modern import modern
from jaxlm.models.families.qwen3 import qwen3
from jaxlm.models.families.roberta import roberta
from jaxlm.models.families.t5 import t5
from jaxlm.models.families.t5_v1_1 import t5_v1_1
from jaxlm.models.families.transformer_2017 import transformer_2017
from jaxlm.models.model import Model
from jaxlm.models.pair import Pair
from jaxlm.models.transformer import Transformer

__all__ = [
    "Model",
    "Pair",
    "Transformer",
    "albert",
    "bert",
    "electra",
    "gemma",
    "gpt2",
    "gpt3",
    "llama",
    "llama3",
    "mixtral",
    "modern",
    "qwen3",
    "roberta",
    "t5",
    "t5_v1_1",
    "transformer_2017",
]
