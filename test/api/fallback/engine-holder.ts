// Holds a FAISS engine until it is killed; prints the process id of the engine.
import { createFaissEngine } from '../../../api/fallback/faiss-engine.ts'
import { randomTable, silent } from './fixture.ts'

const engine = createFaissEngine({ path: process.argv[2]!, log: silent })
await engine.load(randomTable(20, 4))
process.stdout.write(String(engine.pid))
