/**
 * The import law. A layer may import what is listed for it and itself, nothing else; type imports count.
 * What reaches the published package is proven once more on the packed tarball (scripts/closure.ts).
 */

/** @param {string} name @param {string} comment @param {object} from @param {object} to */
const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

/** Files that may import `node:` modules. */
const NODE = '^src/(cli/|dev/|drivers/sqlite/(node|bun)-sqlite\\.ts$)'

/** The libraries of the command line, which are bundled. */
const LIBRARIES = '^src/cli/libraries\\.ts$'

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    forbid('core-is-alone', 'The core imports nothing else', { path: '^src/core/' }, { pathNot: '^src/core/' }),
    forbid(
      'runs-import-core',
      'What every store knows of a run imports the core',
      { path: '^src/runs/' },
      { pathNot: '^src/(core|runs)/' },
    ),
    forbid(
      'stores-import-core-and-runs',
      'A store imports the core, what all stores know of a run, and its own folder: no backend, and no other store',
      { path: '^src/stores/([^/]+)/' },
      { pathNot: '^src/(core/|runs/|stores/$1/)' },
    ),
    forbid(
      'policies-are-pure',
      'Rules for retries and definitions import the core and what they say something about',
      { path: '^src/policies/' },
      { pathNot: '^src/(core|runs|policies)/' },
    ),
    forbid(
      'drivers-import-core',
      'A driver imports the core, what drivers share, its own folder and its own peer dependency',
      { path: '^src/drivers/([^/]+)' },
      { path: '^src/', pathNot: '^src/(core/|drivers/(shared/|$1(/|$)))' },
    ),
    forbid(
      'wrappers-import-core',
      'A wrapper imports the core and what wrappers share',
      { path: '^src/wrappers/([^/]+)' },
      { pathNot: '^src/(core/|wrappers/(shared/|$1(/|$)))' },
    ),
    forbid(
      'ops-and-adapters',
      'Operations and adapters import the core and stores',
      { path: '^src/(ops|adapters)/' },
      { path: '^src/', pathNot: '^src/(core|runs|stores|$1)/' },
    ),
    forbid(
      'served-imports-core',
      'What serves a driver, and the driver at its other end, import the core, what drivers share, and the wrapper that keeps tenants apart',
      { path: '^src/served/([^/]+)' },
      { pathNot: '^src/(core/|drivers/shared/|served/([^/]+\\.ts$|$1(/|$))|wrappers/prefix\\.ts$)' },
    ),
    forbid(
      'testing-is-neutral',
      'The conformance suite runs anywhere, under any test runner',
      { path: '^src/testing/' },
      { pathNot: '^src/(core/|runs/|stores/|testing/|drivers/memory\\.ts$)' },
    ),
    forbid(
      'runner-imports-stores',
      'The runner imports the core, the stores, the policies, and what hands the stores out',
      { path: '^src/runner/' },
      { pathNot: '^src/(core/|runs/|stores/|policies/|runner/|holdfast\\.ts$)' },
    ),
    forbid(
      'dev-stands-alone',
      "The local servers speak other people's protocols and know nothing of ours",
      { path: '^src/dev/' },
      { path: '^src/', pathNot: '^src/dev/' },
    ),
    forbid(
      'face-holds-memory-only',
      'The main entry, the files directly in src, brings no backend but memory',
      { path: '^src/[^/]+\\.ts$' },
      { pathNot: '^src/([^/]+\\.ts$|core/|runs/|stores/|policies/|drivers/memory\\.ts$)' },
    ),
    forbid(
      'nobody-imports-index',
      'index.ts is the face for users; inside, import the file that defines the thing',
      { path: '^src/' },
      { path: '^src/index\\.ts$' },
    ),
    forbid(
      'node-in-its-place',
      'node: only in the SQLite engine made for it, the local servers and the CLI',
      { path: '^src/', pathNot: NODE },
      { dependencyTypes: ['core'] },
    ),
    forbid(
      'node-in-its-place-by-name',
      'The same for modules that the running Node does not know yet',
      { path: '^src/', pathNot: NODE },
      { path: '^node:' },
    ),
    forbid(
      'declared-packages',
      'What is published imports optional peer dependencies only, but for the libraries that the command line bundles',
      { path: '^src/', pathNot: LIBRARIES },
      { dependencyTypes: ['npm', 'npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer'] },
    ),
    forbid(
      'libraries-of-the-command-line',
      'Only the command line uses the libraries that it bundles',
      { path: '^src/', pathNot: '^src/cli/' },
      { path: LIBRARIES },
    ),
    forbid(
      'src-is-closed',
      'The published sources import no test, script or example',
      { path: '^src/' },
      { path: '^(?!src/|node_modules/|node:)[^/]+/', dependencyTypesNot: ['core'] },
    ),
    forbid(
      'examples-use-the-name',
      'Examples import the package by name',
      { path: '^examples/' },
      { path: '^(src|test|scripts)/' },
    ),
    forbid('no-cycles', 'No import cycles, of types neither', { path: '^src/' }, { circular: true }),
    forbid(
      'resolvable',
      'Every import resolves',
      {},
      { couldNotResolve: true, pathNot: '^((node|bun):sqlite|cloudflare:workers)$' },
    ),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.node.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: '^(node_modules|dist)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.d.ts'],
    },
  },
}
