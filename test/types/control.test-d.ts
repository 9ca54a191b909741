/** Shows that these files bite: what is expected to be refused below is refused, or tsc fails. */
import { expectTypeOf } from 'expect-type'

// @ts-expect-error a number is no string
expectTypeOf<number>().toEqualTypeOf<string>()

// @ts-expect-error `any` passes for nothing but `any`
expectTypeOf<unknown>().toEqualTypeOf<object>()

// @ts-expect-error an optional property is no required one
expectTypeOf<{ a?: 1 }>().toEqualTypeOf<{ a: 1 }>()

// @ts-expect-error a mutable property is no readonly one
expectTypeOf<{ a: 1 }>().toEqualTypeOf<{ readonly a: 1 }>()
