// Saves snapshots of changing content until it is killed; says so before each but the first.
import { writeSnapshotFile } from '../../../api/fallback/snapshot-file.ts'

const path = process.argv[2]!
for (let round = 0; ; round++) {
  const bytes = new Uint8Array(8 << 20).fill(round & 0xff)
  await writeSnapshotFile(path, [{ name: 'bytes', chunks: [bytes] }], { round })
  process.stdout.write('written\n')
}
