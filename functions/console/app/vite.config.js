import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { readFileSync } from 'node:fs'
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

/** Writes each file that is text a second and a third time, compressed. Fonts are compressed already. */
const compressed = {
  name: 'compressed',
  apply: 'build',
  generateBundle(_, bundle) {
    for (const [name, file] of Object.entries(bundle)) {
      if (!/\.(js|css|json|svg)$/.test(name)) continue
      const bytes = Buffer.from(file.type === 'chunk' ? file.code : file.source)
      const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
      this.emitFile({ type: 'asset', fileName: `${name}.br`, source: brotliCompressSync(bytes, { params: quality }) })
      this.emitFile({ type: 'asset', fileName: `${name}.gz`, source: gzipSync(bytes, { level: 9 }) })
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
  test: { include: ['tests/**/*.test.ts'] }
}
