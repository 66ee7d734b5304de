import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'

/** Headers for pages of ours: they load nothing from elsewhere, run no script but their own, and stand in no frame. */
export async function registerSecurityHeaders(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // Whether there is TLS in front is the proxy's to know and say.
    strictTransportSecurity: false,
  })
}
