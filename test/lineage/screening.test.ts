/** Screens and filters of updates: those of the reference to the last bit, and what hostile sketches get. */
import assert from 'node:assert/strict'

import fc from 'fast-check'

import { filterCohort } from '../../lib/lineage/cohort.js'
import { featureSketch } from '../../lib/lineage/feature-sketch.js'
import { mergeWeight, screenUpdate, type UpdateObservation } from '../../lib/lineage/screening.js'
import { bool, f64, list, optional, record, text, tuple, u32 } from '../../lib/schema/index.js'
import {
  ROBUSTNESS_PRESETS,
  RobustnessPolicy,
  UpdateFeatureSketch,
} from '../../lib/schema/records/network/index.js'
import { anyValue } from '../../lib/schema/values.js'
import { vectorFile, vectors } from '../recorded/vectors.js'
import { runs } from '../support/runs.js'

type Preset = keyof typeof ROBUSTNESS_PRESETS
const policyOf = (preset: string) => ROBUSTNESS_PRESETS[preset as Preset]
const { balanced } = ROBUSTNESS_PRESETS

const Observation = record('observation', {
  base_head_id: text,
  canary_report: anyValue,
  consecutive_rejections: u32,
  current_trust_score: f64,
  duplicate: bool,
  expected_base_head_id: text,
  expected_lease_id: text,
  feature_sketch: UpdateFeatureSketch,
  lease_id: optional(text),
  quarantined: bool,
  schema_matches: bool,
})

const Decision = record('decision', {
  accepted: bool,
  downweighted: bool,
  effective_norm: f64,
  effective_weight: f64,
  hard_rejected: bool,
  peer_id: text,
  quarantined: bool,
  rejection_reason: optional(text),
  screen_score: f64,
  trust_score: record('trust', {
    ban_recommended: bool,
    peer_id: text,
    quarantined: bool,
    reducer_eligible: bool,
    score: f64,
    updated_at: text,
    validator_eligible: bool,
  }),
})

const screened = vectors(vectorFile('screening'), {
  decision: Decision,
  dimension: u32,
  layers: list(tuple('layer', text, u32, u32)),
  observation: Observation,
  preset: text,
  reference: optional(list(f64)),
  update: list(f64),
})

const clean: UpdateObservation = {
  sketch: featureSketch([3, 4]),
  schemaMatches: true,
  baseHead: 'h',
  expectedBaseHead: 'h',
  leaseId: 'l',
  expectedLeaseId: 'l',
  isDuplicate: false,
  isQuarantined: false,
  consecutiveRejections: 0,
  trust: 0,
  isCanaryAccepted: null,
}

describe('robustness presets', () => {
  it('are those of the reference', () => {
    const { robustness_json } = vectorFile('defaults') as {
      robustness_json: Readonly<Record<string, string>>
    }
    assert.deepEqual(Object.keys(robustness_json).sort(), Object.keys(ROBUSTNESS_PRESETS).sort())
    for (const [preset, json] of Object.entries(robustness_json)) {
      assert.equal(RobustnessPolicy.toJson(policyOf(preset)), json)
    }
  })
})

describe('sketches of updates', () => {
  it('are those of the reference for 160 updates, to the last bit', () => {
    assert.equal(screened.length, 160)
    for (const { update, reference, layers, dimension, observation } of screened) {
      const expected = observation.feature_sketch
      const sketch = featureSketch(update, {
        reference,
        dimension,
        layers: layers,
        canaryLossDelta: expected.canary_loss_delta,
        stalenessWindows: expected.staleness_windows,
        receiveDelayMs: expected.receive_delay_ms,
        nonFiniteTensors: expected.non_finite_tensor_count,
      })
      assert.deepEqual(sketch, expected)
    }
  })

  it('name the largest entries, the first of equal ones first, and take any array of numbers', () => {
    const { top_k_indices, artifact_size_bytes } = featureSketch(
      Float32Array.of(1, -5, 2, 5, 0, 0, 0, 0, 0, 3),
    )
    assert.deepEqual(top_k_indices, [1, 3, 9, 2, 0, 4, 5, 6])
    assert.equal(artifact_size_bytes, 80)
    assert.deepEqual(featureSketch([]).random_projection, new Array(64).fill(0))
    assert.equal(featureSketch([], { reference: [1] }).sign_agreement_fraction, null)
    assert.equal(featureSketch([1], { reference: [1, 2] }).cosine_to_reference, null)
  })
})

describe('screening of updates', () => {
  it('decides as the reference does for 160 updates, to the last bit', () => {
    for (const { observation, decision, preset } of screened) {
      const report = observation.canary_report as { accepted: boolean } | null
      const got = screenUpdate(
        {
          sketch: observation.feature_sketch,
          schemaMatches: observation.schema_matches,
          baseHead: observation.base_head_id,
          expectedBaseHead: observation.expected_base_head_id,
          leaseId: observation.lease_id,
          expectedLeaseId: observation.expected_lease_id,
          isDuplicate: observation.duplicate,
          isQuarantined: observation.quarantined,
          consecutiveRejections: observation.consecutive_rejections,
          trust: observation.current_trust_score,
          isCanaryAccepted: report?.accepted ?? null,
        },
        policyOf(preset),
      )
      assert.deepEqual(got, {
        reason: decision.rejection_reason,
        isHardRejected: decision.hard_rejected,
        isDownweighted: decision.downweighted,
        effectiveNorm: decision.effective_norm,
        score: decision.screen_score,
        weight: decision.effective_weight,
        trust: decision.trust_score.score,
        isQuarantined: decision.quarantined,
        mayReduce: decision.trust_score.reducer_eligible,
        mayValidate: decision.trust_score.validator_eligible,
      })
    }
  })

  it('rejects a sketch with a number that is not finite, and one that is too large', () => {
    const { sketch } = clean
    const odd: Partial<UpdateFeatureSketch>[] = [
      { global_norm: NaN },
      { global_norm: Infinity },
      { per_layer_norms: { a: NaN } },
      { random_projection: [0, NaN] },
      { cosine_to_reference: NaN },
      { neighbor_distance: Infinity },
      { non_finite_tensor_count: 1 },
    ]
    for (const change of odd) {
      const { reason, weight } = screenUpdate(
        { ...clean, sketch: { ...sketch, ...change } },
        balanced,
      )
      assert.equal(reason, 'NonFiniteValues')
      assert.equal(weight, 0)
    }
    const large = { ...sketch, artifact_size_bytes: 64 * 1024 * 1024 + 1 }
    const { reason } = screenUpdate({ ...clean, sketch: large }, ROBUSTNESS_PRESETS.strict)
    assert.equal(reason, 'ArtifactTooLarge')
    assert.equal(screenUpdate({ ...clean, sketch: large }, balanced).reason, null)
  })

  it('caps the weight of browsers and keeps a least weight', () => {
    const decision = screenUpdate({ ...clean, sketch: featureSketch([30, 40]), trust: 1 }, balanced)
    assert.equal(decision.weight, 1)
    assert.equal(mergeWeight(decision, 1, false, balanced), 1)
    assert.equal(mergeWeight(decision, 0.75, false, balanced), 0.75)
    assert.equal(mergeWeight(decision, 1, true, balanced), 0.5)
    assert.equal(mergeWeight(decision, 0, false, balanced), 0.01)
  })

  it('gives a finite weight from 0 to 1 and a finite trust, whatever a peer says of its update', () => {
    const numbers = fc.oneof(fc.double(), fc.constantFrom(0, -1, 1, NaN, Infinity, -Infinity))
    const optional = fc.option(numbers)
    const sketches = fc.record<UpdateFeatureSketch>({
      artifact_size_bytes: fc.nat(),
      global_norm: numbers,
      per_layer_norms: fc.dictionary(fc.string(), numbers),
      random_projection: fc.array(numbers),
      sign_projection: fc.array(fc.integer({ min: -1, max: 1 })),
      top_k_indices: fc.array(fc.nat()),
      cosine_to_reference: optional,
      sign_agreement_fraction: optional,
      canary_loss_delta: optional,
      historical_deviation_score: optional,
      neighbor_distance: optional,
      staleness_windows: fc.nat(3),
      receive_delay_ms: fc.nat(),
      non_finite_tensor_count: fc.nat(1),
    })
    const presets = fc.constantFrom(...Object.values(ROBUSTNESS_PRESETS))
    fc.assert(
      fc.property(sketches, presets, fc.integer({ min: -5, max: 5 }), (sketch, policy, trust) => {
        const decision = screenUpdate({ ...clean, sketch, trust }, policy)
        assert.ok(decision.weight >= 0 && decision.weight <= 1, String(decision.weight))
        assert.ok(decision.reason === null || decision.weight === 0)
        assert.ok(!Number.isNaN(decision.trust))
        if (decision.reason !== null) return
        const decisions = filterCohort(
          [sketch, clean.sketch, clean.sketch].map((item) => ({ sketch: item, weight: 0.5 })),
          policy,
        )
        for (const { scale } of decisions) assert.ok(scale >= 0 && scale <= 1, String(scale))
      }),
      { numRuns: runs(1000) },
    )
  })
})

describe('the filter of a cohort', () => {
  const cohorts = vectors(vectorFile('cohorts'), {
    decisions: list(record('decision', { accepted: bool, weight_scale: f64 })),
    preset: text,
    sketches: list(UpdateFeatureSketch),
    weights: list(f64),
  })

  it('decides as the reference does for 80 cohorts, to the last bit', () => {
    assert.equal(cohorts.length, 80)
    for (const { decisions, preset, sketches, weights } of cohorts) {
      const members = sketches.map((sketch, index) => ({ sketch, weight: weights[index]! }))
      assert.deepEqual(
        filterCohort(members, policyOf(preset)),
        decisions.map(({ accepted, weight_scale }) => ({
          isAccepted: accepted,
          scale: weight_scale,
        })),
      )
    }
  })

  const withStrategy = (strategy: RobustnessPolicy['cohort_filter_policy']['strategy']) => ({
    ...balanced,
    cohort_filter_policy: { ...balanced.cohort_filter_policy, strategy },
  })
  const far = [1, 2, 3, 100].map((value) => ({ sketch: featureSketch([value]), weight: 1 }))

  it('takes everything under the strategy None, and from one or two members', () => {
    const accepted = { isAccepted: true, scale: 1 }
    assert.deepEqual(
      filterCohort(far, withStrategy('None')),
      far.map(() => accepted),
    )
    assert.deepEqual(filterCohort(far.slice(2), balanced), [accepted, accepted])
    assert.deepEqual(filterCohort([], balanced), [])
  })

  it('compares by all else that is known where there is no projection', () => {
    const without = far.map(({ sketch, weight }) => ({
      sketch: { ...sketch, random_projection: [], sign_projection: [] },
      weight,
    }))
    const decisions = filterCohort(without, balanced)
    assert.equal(decisions[3]!.isAccepted, false)
    assert.equal(decisions[1]!.isAccepted, true)
  })

  it('survives members of no weight and projections of other lengths', () => {
    const odd = [
      { sketch: featureSketch([1], { dimension: 2 }), weight: 0 },
      { sketch: featureSketch([1], { dimension: 3 }), weight: 0 },
      { sketch: featureSketch([9], { dimension: 2 }), weight: 0 },
    ]
    const kept = filterCohort(odd, balanced).map(({ isAccepted }) => isAccepted)
    assert.deepEqual(kept, [true, true, false])
  })

  it('refuses a strategy that it does not have', () => {
    assert.throws(() => filterCohort(far, withStrategy('Krum')), {
      code: 'ERR_CONFIG',
      message: /Krum is not implemented; use one of None, SimilarityAware/,
    })
  })
})
