import {
  bootstrap,
  flag,
  int,
  maxCount,
  maxDemos,
  type OptimizerEntry,
  plainOptimizer,
} from "./optimizer.ts";

/** The optimizers that choose demos and leave the instructions as they are. */
export const fewShotOptimizers: readonly OptimizerEntry[] = [
  {
    ...plainOptimizer,
    name: "LabeledFewShot",
    description: "Puts examples of the trainset into the prompt as they are. Uses no model and no metric.",
    parameters: [
      int("k", 16, 1, maxDemos, "Maximum number of demos."),
      flag("sample", true, "Draws demos at random; else takes the first ones."),
    ],
  },
  {
    ...plainOptimizer,
    name: "BootstrapFewShot",
    description: "Runs the program over the trainset and makes demos of the answers that the metrics accept.",
    parameters: bootstrap(0),
    lms: ["teacher"],
  },
  {
    ...plainOptimizer,
    name: "BootstrapFewShotWithRandomSearch",
    description:
      "Makes many sets of demos as BootstrapFewShot does, scores each on the trainset and takes the best.",
    parameters: [
      ...bootstrap(1),
      int("num_candidate_programs", 16, 1, maxCount, "Sets of demos, in addition to three plain ones."),
      {
        name: "stop_at_score",
        type: "Optional[float]",
        description: "Ends the search at this score, in percent as in DSPy.",
        min: 0,
        max: 100,
      },
    ],
    lms: ["teacher"],
  },
];
