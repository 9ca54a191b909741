/** The routes. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import { projectRoot } from '../root.js'
import { Live, type LiveParts } from './live.js'
import { metricsOf } from './metrics.js'

/** The page is one file: nothing else may be loaded. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"

/** The server, not yet listening. Closing it ends the streams of events. */
export async function buildApp(parts: LiveParts): Promise<FastifyInstance> {
  const page = await readFile(join(projectRoot, 'examples', 'server', 'page.html'))
  const metrics = metricsOf(parts.training, parts.runtime)
  const live = new Live(parts)
  const app = fastify({ forceCloseConnections: true })

  app.get('/', (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', PAGE_POLICY)
      .header('cache-control', 'no-cache')
      .send(page),
  )
  app.get('/status', () => live.status)
  app.get('/ping', () => 'pong')
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  )
  app.get('/events', (_request, reply) => {
    if (live.follow(reply.raw)) reply.hijack()
    else void reply.code(503).send({ error: 'too many listen already; come back later' })
  })

  app.addHook('onListen', (done) => {
    live.start()
    done()
  })
  app.addHook('preClose', (done) => {
    live.stop()
    done()
  })
  return app
}
