import { PassThrough, pipeline } from 'node:stream'
import { createGzip } from 'node:zlib'
import { encodeEnvelopeHead, gatewayPaths as paths, mediaTypes } from '../gateway/protocol.ts'
import type { Progress, SeedLink, SeedRange } from './cloud-link.ts'
import { readGatewayAnswer } from './gateway-answer.ts'
import type { GatewayHttp } from './gateway-http.ts'
import { asJson, type AskGateway } from './gateway-link.ts'

/** The initial copy through the gateway. A range's rows pass once; a range that broke off is copied again from home. */
export function gatewaySeed(http: GatewayHttp, ask: AskGateway): SeedLink {
  return {
    begin: (options) => ask<void>({ method: 'POST', path: paths.seed, body: asJson(options) }, null),
    async ranges(slot) {
      const request = { method: 'GET', path: paths.seedRanges, query: { slot } } as const
      return (await ask<{ ranges: SeedRange[] }>(request, 'ranges')).ranges
    },
    async copyRange({ slot, range, columns, snapshotLsn, rows, signal }) {
      const { table, number, from, to } = range
      const plain = new PassThrough()
      plain.write(encodeEnvelopeHead({ slot, range: { table, number, from, to }, columns, snapshotLsn }))
      const packed = createGzip({ level: 1 })
      // Whatever fails first ends the others with its error; the request sees it in `packed`.
      pipeline(rows, plain, packed, () => undefined)
      try {
        const wanted = {
          method: 'POST',
          path: paths.seedCopy,
          type: mediaTypes.copy,
          body: packed,
          signal,
        } as const
        return readGatewayAnswer(http.where, await http.sendStream(wanted), 'rows') as { rows: number }
      } finally {
        packed.destroy()
      }
    },
    async finish(slot) {
      const request = { method: 'POST', path: paths.seedEnd, body: asJson({ slot }) } as const
      return (await ask<{ progress: Progress }>(request, 'progress')).progress
    },
  }
}
