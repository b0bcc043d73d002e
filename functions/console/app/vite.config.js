import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileMessage } from '@lingui/message-utils/compileMessage'
import vue from '@vitejs/plugin-vue'

/** Compiles the ICU messages of `locales`, so that a browser needs no parser of them. */
const messages = {
  name: 'messages',
  enforce: 'pre',
  load(id) {
    if (!/\/locales\/[a-z]+\.json$/.test(id)) return
    const texts = JSON.parse(readFileSync(id, 'utf8'))
    const compiled = Object.entries(texts).map(([key, text]) => [key, compileMessage(text)])
    return { code: `export default ${JSON.stringify(Object.fromEntries(compiled))}`, map: null, moduleType: 'js' }
  }
}

/**
 * Writes each file that is text a second and a third time, compressed. Fonts are compressed already. From the written
 * files, because other plugins change a bundle until the end.
 */
const compressed = {
  name: 'compressed',
  apply: 'build',
  enforce: 'post',
  writeBundle({ dir }, bundle) {
    for (const name of Object.keys(bundle).filter((name) => /\.(js|css|json|svg)$/.test(name))) {
      const path = join(dir, name)
      const bytes = readFileSync(path)
      const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
      writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: quality }))
      writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
    }
  }
}

export default {
  // The path is known at run time only, from the page's <base>.
  base: './',
  plugins: [messages, vue(), compressed],
  build: {
    // Browsers of the last two years: they know light-dark().
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // No data: addresses, which the policy forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false }
  },
  // A machine that builds something else at the same time takes ten times as long as one that is free.
  test: { include: ['tests/**/*.test.ts'], testTimeout: 30_000, hookTimeout: 60_000 }
}
