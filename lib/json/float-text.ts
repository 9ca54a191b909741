/** Floats as decimal text, the way the reference's JSON writer prints them (spec formats#json). */

/**
 * A 64-bit float: the shortest digits that read back as the same value, with `.0` when whole.
 * Plain from 0.00001 to below 1e16, else with a signed exponent: `1e+16`, `1.5e-7`. Not for NaN or infinity.
 */
export function float64Text(value: number): string {
  if (value === 0) return zeroText(value)
  const size = Math.abs(value)
  // Here JavaScript writes the same digits, also plainly.
  if (size >= 1e-5 && size < 1e16) return Number.isInteger(value) ? `${value}.0` : String(value)
  const [mantissa = '', exponent = ''] = size.toExponential().split('e')
  return layOut(value < 0, mantissa.replace('.', ''), Number(exponent) + 1, -5, 16)
}

/** A 32-bit float, given as a number that is one. Plain from 0.000001 to below 1e13. */
export function float32Text(value: number): string {
  if (value === 0) return zeroText(value)
  // JavaScript only shortens doubles, so the shortest digits are sought from the (all but) exact ones.
  const [mantissa = '', exponent = ''] = Math.abs(value).toExponential(100).split('e')
  const exact = mantissa.replace('.', '')
  const point = Number(exponent) + 1
  const nine = candidates(exact, 9)[0]
  for (let count = 1; count < 9; count++) {
    for (const digits of candidates(exact, count)) {
      const isSame = Math.fround(Number(`${digits}e${point - count}`)) === Math.abs(value)
      // A carry, as from 99 to 100, moves the point.
      if (isSame) return layOut(value < 0, digits, point + digits.length - count, -6, 13)
    }
  }
  return layOut(value < 0, nine, point + nine.length - 9, -6, 13)
}

/** The two numbers of `count` digits around the exact one, nearest first; of equally near ones the even. */
function candidates(exact: string, count: number): [string, string] {
  const below = BigInt(exact.slice(0, count))
  const above = below + 1n
  const rest = exact.slice(count)
  const half = '5'.padEnd(rest.length, '0')
  const isDown = rest < half || (rest === half && below % 2n === 0n)
  return isDown ? [`${below}`, `${above}`] : [`${above}`, `${below}`]
}

function zeroText(value: number): string {
  return Object.is(value, -0) ? '-0.0' : '0.0'
}

/** Lays out ±0.DDD × 10^point: plain when `low < point <= high`. */
function layOut(
  isNegative: boolean,
  allDigits: string,
  point: number,
  low: number,
  high: number,
): string {
  const sign = isNegative ? '-' : ''
  const digits = allDigits.replace(/0+$/, '')
  if (low < point && point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (0 < point && point <= high) {
    const whole = digits.slice(0, point).padEnd(point, '0')
    return `${sign}${whole}.${digits.slice(point) || '0'}`
  }
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
  return `${sign}${digits.charAt(0)}${fraction}e${point > 0 ? '+' : ''}${point - 1}`
}
