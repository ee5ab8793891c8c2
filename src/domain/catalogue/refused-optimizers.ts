import { type OptimizerEntry, plainOptimizer } from "./optimizer.ts";

/** The optimizers of DSPy that this server does not run, each with the reason. */
export const refusedOptimizers: readonly OptimizerEntry[] = [
  {
    ...plainOptimizer,
    name: "KNNFewShot",
    description: "Chooses demos for each input.",
    refused:
      "chooses demos while a program runs, by an embedder and a trainset that DSPy's JSON state can't hold",
  },
  {
    ...plainOptimizer,
    name: "BootstrapFewShotWithOptuna",
    description: "Searches demos by Optuna.",
    refused: "can't be seeded, so that nobody could repeat it; MIPROv2 searches demos by Optuna, too",
  },
  {
    ...plainOptimizer,
    name: "BootstrapFinetune",
    description: "Trains the model.",
    refused: "changes the model's weights, which a program's state does not hold",
  },
  {
    ...plainOptimizer,
    name: "GRPO",
    description: "Trains the model by reinforcement.",
    refused: "changes the model's weights, which a program's state does not hold",
  },
  {
    ...plainOptimizer,
    name: "Ensemble",
    description: "Makes one program of many.",
    refused: "makes another program, whose modules are not this one's",
  },
  {
    ...plainOptimizer,
    name: "AvatarOptimizer",
    description: "Instructs an agent.",
    refused: "is for DSPy's Avatar module, which this server does not have",
  },
  {
    ...plainOptimizer,
    name: "ReAnchor",
    description: "Calibrates decisions.",
    refused: "calibrates decision outputs, which a signature can't have here",
  },
];
