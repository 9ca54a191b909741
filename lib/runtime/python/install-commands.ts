/** The commands that install a Python or a part of it, by the system and by where the present one is from. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The version that is proposed: torch has wheels for it, and every installer offers it. */
const PROPOSED = '3.12'

/** Where a Python was installed from, as far as its folder tells. */
type Origin = 'conda' | 'pyenv' | 'uv' | 'system' | 'other'

/** The command that installs a Python for a system that has none. */
export function installPython(): string {
  if (process.platform === 'darwin') return `brew install python@${PROPOSED}`
  if (process.platform === 'win32') return `winget install Python.Python.${PROPOSED}`
  if (existsSync('/etc/debian_version')) {
    return `${sudo()}apt-get install -y python3 python3-venv libpython3-dev`
  }
  if (existsSync('/etc/redhat-release')) return `${sudo()}dnf install -y python3 python3-libs`
  if (existsSync('/etc/alpine-release')) return `${sudo()}apk add python3`
  return `uv python install ${PROPOSED}`
}

/** The command that installs the ordinary build of a version beside the Python in `basePrefix`. */
export function installBeside(basePrefix: string, version = PROPOSED): string {
  switch (originOf(basePrefix)) {
    case 'conda':
      return `conda create -n torchbed python=${version}`
    case 'pyenv':
      return `PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install ${version}`
    default:
      return `uv python install ${version}`
  }
}

/** The command that gives the Python in `basePrefix` its shared library. */
export function installLibpython(basePrefix: string, version: string): string {
  const short = version.split('.', 2).join('.')
  switch (originOf(basePrefix)) {
    case 'conda':
      return `conda install -p ${shellWord(basePrefix)} --force-reinstall python=${short}`
    case 'pyenv':
      return `PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force ${version}`
    case 'system':
      if (existsSync('/etc/debian_version')) return `${sudo()}apt-get install -y libpython${short}`
      if (existsSync('/etc/redhat-release')) return `${sudo()}dnf install -y python3-libs`
  }
  return `uv python install ${short}`
}

/** The command that makes a virtual environment anew; its packages are to be installed again. */
export function remakeEnvironment(folder: string, python = 'python3'): string {
  return `${python} -m venv --clear ${shellWord(folder)}`
}

/** The command that takes a variable out of the shell's environment. */
export function unsetVariable(name: string): string {
  return process.platform === 'win32' ? `set ${name}=` : `unset ${name}`
}

/** The command that sets a variable in the shell's environment. */
export function setVariable(name: string, value: string): string {
  return process.platform === 'win32'
    ? `set ${name}=${value}`
    : `export ${name}=${shellWord(value)}`
}

/** A text as one word of a shell. */
export function shellWord(text: string): string {
  if (process.platform === 'win32') return /[\s&]/.test(text) ? `"${text}"` : text
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

function originOf(basePrefix: string): Origin {
  const path = basePrefix.replaceAll('\\', '/')
  if (existsSync(join(basePrefix, 'conda-meta'))) return 'conda'
  if (path.includes('/.pyenv/versions/') || isBelow(path, process.env.PYENV_ROOT)) return 'pyenv'
  if (path.includes('/uv/python/')) return 'uv'
  return path === '/usr' ? 'system' : 'other'
}

function isBelow(path: string, folder: string | undefined): boolean {
  return folder !== undefined && folder !== '' && path.startsWith(`${folder}/`)
}

function sudo(): string {
  return process.getuid?.() === 0 ? '' : 'sudo '
}
