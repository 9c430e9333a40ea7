from jaxlm.core import Document
from jaxlm.corpus import LeadingSpace


def test_each_stream_begins_with_one_space():
    documents = [Document.of("a", "One word.\n"), Document.of("b", "\n\t  two "), Document("c", {"en": "x", "de": " y"})]
    assert list(LeadingSpace()(documents)) == [
        Document.of("a", " One word.\n"),
        Document.of("b", " two "),
        Document("c", {"en": " x", "de": " y"}),
    ]
