/** The codecs of contributions by name. */
import { bf16 } from './bf16.js'
import type { Codec, CodecName } from './codec.js'
import { fp16 } from './fp16.js'
import { fp32 } from './fp32.js'
import { int4 } from './int4.js'
import { int8 } from './int8.js'
import { sign } from './sign.js'
import { topk } from './topk.js'

/** All codecs between torchbed peers, from the largest payload to the smallest. */
export const CODECS: Readonly<Record<CodecName, Codec>> = {
  fp32,
  fp16,
  bf16,
  int8,
  int4,
  sign,
  topk,
}
