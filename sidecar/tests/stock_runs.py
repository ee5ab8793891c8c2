"""Stock DSPy in a process of its own: runs exported programs as a notebook does.

Reads a JSON object from stdin: the model's url, and for each program its file, the file of its
state, if it has one, and its inputs.
"""

import json
import runpy
import sys

import dspy


def main() -> None:
    asked = json.load(sys.stdin)
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    for one in asked["programs"]:
        lm = dspy.LM("openai/scripted", api_base=asked["url"], api_key="test")
        dspy.configure(lm=lm, adapter=None)
        program = runpy.run_path(one["file"])["program"]
        if one["state"]:
            program.load(one["state"])
        program(**one["inputs"])


if __name__ == "__main__":
    main()
