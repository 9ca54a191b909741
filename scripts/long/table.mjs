/** What a run of `npm run test:long` found, as text. */

/** @param {{name: string, cells: number, failures: {name: string, repeat: string}[], seconds: number, load: number}[]} results */
export function tableOf(results) {
  const rows = [
    ['part', 'cells run', 'failures', 'seconds', 'load'],
    ...results.map(({ name, cells, failures, seconds, load }) => [
      name,
      String(cells),
      String(failures.length),
      seconds.toFixed(1),
      load.toFixed(1),
    ]),
  ]
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)))
  const lines = rows.map(([name, ...numbers]) =>
    [name.padEnd(widths[0]), ...numbers.map((text, i) => text.padStart(widths[i + 1]))].join('  '),
  )
  const failures = results.flatMap((result) => result.failures)
  return [
    ...lines,
    ...failures.map(({ name, repeat }) => `failed: ${name}; again: ${repeat}`),
  ].join('\n')
}
