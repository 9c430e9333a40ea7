"""Raw sources to clean documents, and the split into training and validation text. No jax."""

from jaxlm.corpus.read import read_documents
from jaxlm.corpus.sources.hugging_face import HuggingFace
from jaxlm.corpus.sources.jsonl import JsonLines
from jaxlm.corpus.sources.parallel_lines import ParallelLines
from jaxlm.corpus.sources.python_docs import PythonDocs
from jaxlm.corpus.sources.python_signatures import PythonSignatures
from jaxlm.corpus.sources.python_sources import PythonSources
from jaxlm.corpus.sources.records import Records
from jaxlm.corpus.sources.text import TextFiles
from jaxlm.corpus.sources.wikipedia import WikipediaDump
from jaxlm.corpus.split import split_documents
from jaxlm.corpus.steps.leading_space import LeadingSpace
from jaxlm.corpus.steps.paragraphs import DeduplicateParagraphs
from jaxlm.corpus.steps.sections import Sections

__all__ = [
    "DeduplicateParagraphs",
    "HuggingFace",
    "JsonLines",
    "LeadingSpace",
    "ParallelLines",
    "PythonDocs",
    "PythonSignatures",
    "PythonSources",
    "Records",
    "Sections",
    "TextFiles",
    "WikipediaDump",
    "read_documents",
    "split_documents",
]
