/** Unpacks Debian packages of any suite and architecture into a folder; nothing is installed. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../support/failure.mjs'
import { lastLines, onPath, run } from '../support/process.mjs'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * @param {string} folder gets the packages' files below it
 * @param {object} what `suite` such as `bullseye`; `arch`, Debian's name of it; `packages`, without their dependencies
 */
export async function unpackDebian(folder, { suite, arch, packages }) {
  const mirror = await findMirror()
  const apt = `${folder}.apt`
  await mkdir(join(apt, 'lists', 'partial'), { recursive: true })
  await mkdir(join(apt, 'sources'), { recursive: true })
  await mkdir(join(apt, 'packages'), { recursive: true })
  await writeFile(join(apt, 'status'), '')
  await writeFile(
    join(apt, 'sources', 'debian.sources'),
    `Types: deb\nURIs: ${mirror}\nSuites: ${suite}\nComponents: main\nSigned-By: ${KEYRING}\n`,
  )
  // Folders of its own, so that this machine's lists of packages stay as they are.
  const settings = {
    'APT::Architecture': arch,
    'APT::Architectures': `{ "${arch}"; }`,
    'APT::Sandbox::User': 'root',
    'Acquire::Check-Valid-Until': 'false',
    'Dir::State::Lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': apt,
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(apt, 'sources'),
  }
  const lines = Object.entries(settings).map(([name, value]) =>
    value.startsWith('{') ? `${name} ${value};` : `${name} "${value}";`,
  )
  await writeFile(join(apt, 'apt.conf'), `${lines.join('\n')}\n`)
  const env = { APT_CONFIG: join(apt, 'apt.conf') }
  await must('apt-get', ['update', '-q'], { env })
  await must('apt-get', ['download', '-q', ...packages], { env, cwd: join(apt, 'packages') })
  await mkdir(folder, { recursive: true })
  for (const name of await readdir(join(apt, 'packages'))) {
    await must('dpkg-deb', ['--extract', join(apt, 'packages', name), folder])
  }
  await rm(apt, { recursive: true })
}

/** Where this machine has its own Debian packages from. */
async function findMirror() {
  if ((await onPath('apt-get')) === null) {
    throw new Failure(
      'apt-get is not on PATH: a system root is made from Debian packages',
      'run this on Debian, or name the root of an old system with --sysroot',
    )
  }
  const { output } = await run('apt-get', ['indextargets', '--format', '$(SITE)'])
  const mirror = output.split('\n').find((site) => /^https?:\S+\/debian\/?$/.test(site))
  if (mirror !== undefined) return mirror
  throw new Failure(
    'this machine has no Debian mirror among its package sources',
    'run this on Debian, after apt-get update, or name the root of an old system with --sysroot',
  )
}

async function must(command, args, options) {
  const { ok, ending, output } = await run(command, args, options)
  if (ok) return
  const cause = `${command} ${args.join(' ')} ended with ${ending}`
  throw new Failure(cause, 'check the network and the package sources', lastLines(output))
}
