"""What the metrics give the answers of a program, and 0 for an answer that would fail a run."""

import re
from dataclasses import dataclass
from typing import Any

import dspy

from dspy_sidecar.faults import OutputInvalidError
from dspy_sidecar.scoring.metrics import Metrics, Verdict
from dspy_sidecar.values.checking import ValuesCheck
from dspy_sidecar.values.violations import RefusedError

BELOW_FIELD = re.compile(r"[.\[].*", re.DOTALL)


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a request's metrics on a program's predictions."""

    metrics: Metrics
    check: ValuesCheck
    """The check that a run's outputs pass or fail."""
    judge: dspy.LM

    def of(self, example: dspy.Example, prediction: Any) -> Verdict:
        """The verdict on a prediction. 0, with the reason as feedback, if a run would fail."""
        try:
            outputs = self.outputs_of(prediction)
        except OutputInvalidError as error:
            return Verdict(0.0, str(error))
        # The judge's request must not appear in the trace of the program's run.
        with dspy.context(lm=self.judge, trace=None):
            inputs, expected = dict(example.inputs().items()), dict(example.labels().items())
            return self.metrics.mean(self.metrics(inputs, expected, outputs))

    def outputs_of(self, prediction: Any) -> dict[str, Any]:
        """The outputs of a prediction, as a run would give them.

        Raises:
            OutputInvalidError: A run would fail with these outputs, or it has failed.

        """
        # Some optimizers have a failed run scored, with None in place of its prediction.
        if not isinstance(prediction, dspy.Prediction):
            raise OutputInvalidError("the program's run failed")
        try:
            # A lone module also predicts what is no output of the program.
            return self.check.coerced(
                {name: prediction[name] for name in self.check.names if name in prediction}
            )
        except RefusedError as error:
            raise OutputInvalidError(text_of(error)) from error


def text_of(error: RefusedError) -> str:
    """The refusal by field. Keys below a field are left out, because the model wrote them."""
    found = {BELOW_FIELD.sub("", one.path): one.description for one in error.violations}
    texts = "; ".join(f"{field}: {description}" for field, description in found.items())
    return f"the model's answer does not fit the signature: {texts}"
