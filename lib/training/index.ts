/** The roles of an experiment, and the loop that runs them in one process (spec project#training-loop). */

export {
  DATASET_CONFIG_NAME,
  localDataset,
  type LocalDatasetOptions,
} from '../data/local-dataset.js'
export { qualityWeight, standardContributionWeight } from '../project/contribution.js'
export type { Candidate } from './candidate.js'
export type { TrainingEvent } from './events.js'
export type { Experiment } from './experiment.js'
export { LocalState, type LocalStateCost, type LocalStateMissing } from './local-state.js'
export { localTraining, type LocalTrainingParts } from './local-training.js'
export {
  canonicalHead,
  announcedUpdates,
  type AnnouncedUpdate,
  type OfferedHead,
} from './announcements.js'
export { Trainer, type Contribution, type TrainerParts, type WindowOptions } from './trainer.js'
export { Validator, type Collected, type Promotion, type ValidatorParts } from './validator.js'
export { trainOnSwarm, type TrainerLoopOptions } from './trainer-loop.js'
export { validateOnSwarm, type ValidatorLoopOptions } from './validator-loop.js'
export { CsvFile } from './csv-file.js'
export { scalarsOf, type Scalar, type ScalarWriter } from './scalars.js'
export { TensorBoardFile } from './tensorboard-file.js'
export type { Dropped } from './screening.js'
