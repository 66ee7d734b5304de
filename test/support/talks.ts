import type { ContentSource } from './content.ts'

/** A few short talks whose answers are plain. */
export const talks: readonly ContentSource[] = [
  {
    id: 1,
    title: 'Keeping WAL in check',
    url: 'https://www.youtube.com/watch?v=wal0001',
    channel: 'Home databases',
    publishedAt: '2026-02-03T10:00:00Z',
    durationMs: 600_000,
    segments: [
      {
        text: 'Welcome to the show. Today we talk about disks and how they fill up at night.',
        speaker: 'Ann',
        startMs: 0,
        endMs: 30_000,
      },
      {
        text: 'A replication slot keeps the write-ahead log until the subscriber has read it. An abandoned slot fills the disk, and then the database stops.',
        speaker: 'Ben',
        startMs: 83_000,
        endMs: 120_000,
        wordStartsMs: Array.from({ length: 25 }, (_, word) => word * 500),
        turns: [{ speaker: 'Ben', offset: 0, startMs: 83_000 }],
      },
      {
        text: 'Set a limit with max slot wal keep size, and watch the lag of every subscriber in seconds and bytes.',
        speaker: 'Ann',
        startMs: 130_000,
        endMs: 150_000,
      },
    ],
  },
  {
    id: 2,
    title: 'Speech at home',
    kind: 'recording',
    url: 'https://example.org/speech.mp3',
    segments: [
      {
        text: 'Whisper runs on a small graphics card. Speech recognition of an hour takes four minutes here.',
        speaker: 'Cleo',
        startMs: 5_000,
        endMs: 25_000,
      },
      {
        text: 'Names are what recognition gets wrong: give it a list of the speakers and the product names.',
        speaker: 'Cleo',
        startMs: 25_000,
        endMs: 45_000,
      },
    ],
  },
  {
    id: 3,
    title: 'Notes without times',
    kind: 'meeting',
    segments: [{ text: 'We decided to search by words and by vectors together.', speaker: null }],
  },
  {
    id: 4,
    title: 'Not for everybody',
    visibility: 'private',
    segments: [
      { text: 'The private replication slot is called tango.', speaker: 'Ann', startMs: 0, endMs: 1_000 },
    ],
  },
]
