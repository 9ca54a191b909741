/** The guides that train for longer: apart from the other documents, so that either file is quick. */
import { LONG_GUIDES } from '../tools/docs/blocks.js'
import { testPrograms } from '../tools/docs/programs.js'

describe('the guides', () => {
  testPrograms(LONG_GUIDES)
})
