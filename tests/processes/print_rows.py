"""Prints, as one line of JSON, a digest of each row that this process reads of three batches:  print_rows.py [FLAG ...]"""

import hashlib
import json
import sys
from pathlib import Path

from jaxlm.parallel.start import find_place, joined
from jaxlm.run.assemble import Materials, assemble
from jaxlm.run.config import with_schedule_length
from jaxlm.run.recipe import load_recipe
from jaxlm.run.text import store_for, text_of, tokenizer_for

config = with_schedule_length(load_recipe("tiny.py", ["--text", "text.txt", *sys.argv[1:]]).config)
text = text_of(config)
tokenizer = tokenizer_for(config.tokenizer, text, say=lambda line: None)
store = store_for(text, tokenizer, say=lambda line: None)
with joined(find_place(), config.mesh, {}, say=lambda line: None) as peers:
    run = assemble(config, Materials(tokenizer, store), Path("rows"), peers=peers)
    batches = run.batches(0)
    found = {}
    for step in range(3):
        batch = next(batches)
        for k, row in enumerate(batch["row"].tolist()):
            content = b"".join(batch[name][k].tobytes() for name in sorted(batch))
            found[f"step {step}, row {row}"] = hashlib.sha256(content).hexdigest()
    print(json.dumps(found), flush=True)
