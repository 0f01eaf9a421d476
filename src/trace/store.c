/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/store.h"
#include "base/bits.h"
#include "hw/cpu.h"

/* ATA/ATAPI, "Register delivered data transfer": the first channel's registers. */
enum { ATA_DATA = 0x1f0, ATA_COUNT = 0x1f2, ATA_LBA = 0x1f3, ATA_DEVICE = 0x1f6, ATA_COMMAND = 0x1f7, ATA_CONTROL = 0x3f6 };

#define ATA_STATUS_ERR BIT(0)
#define ATA_STATUS_DRQ BIT(3)
#define ATA_STATUS_DF  BIT(5)
#define ATA_STATUS_BSY BIT(7)
#define ATA_NIEN       BIT(1)
#define ATA_SLAVE_LBA  0xf0
#define ATA_WRITE      0x30
#define ATA_IDENTIFY   0xec
#define ATA_FLUSH      0xe7

#define SECTOR_BYTES   512
#define SECTOR_WORDS   (SECTOR_BYTES / 2)
#define MAX_SECTORS    256 /* of one command */
#define LBA28_SECTORS  BIT(28)
#define POLL_LIMIT     100000000u

static bool wait_status(uint8_t mask, uint8_t want)
{
        for (uint32_t i = 0; i < POLL_LIMIT; i++) {
                const uint8_t s = hw_inb(ATA_COMMAND);
                if (s == 0xff)
                        return false;
                if (!(s & ATA_STATUS_BSY) && (s & (ATA_STATUS_ERR | ATA_STATUS_DF)))
                        return false;
                if ((s & (mask | ATA_STATUS_BSY)) == want)
                        return true;
        }
        return false;
}

bool store_open(struct trace_store *s, uint64_t sectors)
{
        *s = (struct trace_store){ .sectors = sectors < LBA28_SECTORS ? sectors : LBA28_SECTORS };
        hw_outb(ATA_CONTROL, ATA_NIEN);
        hw_outb(ATA_DEVICE, ATA_SLAVE_LBA);
        if (hw_inb(ATA_COMMAND) == 0xff || !wait_status(0, 0))
                return false;
        hw_outb(ATA_COMMAND, ATA_IDENTIFY);
        if (hw_inb(ATA_COMMAND) == 0 || !wait_status(ATA_STATUS_DRQ, ATA_STATUS_DRQ))
                return false;
        for (int i = 0; i < SECTOR_WORDS; i++)
                hw_inw(ATA_DATA);
        return true;
}

static bool write_sectors(uint64_t lba, const uint8_t *bytes, unsigned count)
{
        hw_outb(ATA_DEVICE, (uint8_t)(ATA_SLAVE_LBA | (lba >> 24)));
        if (!wait_status(0, 0))
                return false;
        hw_outb(ATA_COUNT, (uint8_t)count); /* 0 means 256 */
        hw_outb(ATA_LBA, (uint8_t)lba);
        hw_outb(ATA_LBA + 1, (uint8_t)(lba >> 8));
        hw_outb(ATA_LBA + 2, (uint8_t)(lba >> 16));
        hw_outb(ATA_COMMAND, ATA_WRITE);
        for (unsigned i = 0; i < count; i++) {
                if (!wait_status(ATA_STATUS_DRQ, ATA_STATUS_DRQ))
                        return false;
                hw_outs_w(ATA_DATA, bytes + i * SECTOR_BYTES, SECTOR_WORDS);
        }
        return wait_status(0, 0);
}

/* One chunk with the first `count` records of the buffer. */
static bool write_chunk(struct trace_store *s, struct trace *t, uint32_t count)
{
        struct trace_buffer *buf = t->buffer;
        const uint64_t used = (1 + (uint64_t)count) * sizeof(struct trace_record);
        const unsigned sectors = (unsigned)(ALIGN_UP(used, TRACE_CHUNK_ALIGN) / SECTOR_BYTES);
        _Static_assert(TRACE_BUFFER_BYTES == MAX_SECTORS * SECTOR_BYTES, "one command writes a whole buffer");

        buf->head = (struct trace_chunk){ .magic = TRACE_CHUNK_MAGIC, .seq = s->seq, .count = count, .cpu = t->cpu,
                                          .version = TRACE_SCHEMA_VERSION, .lost = t->lost };
        if (s->failed || s->sectors - s->next_sector < sectors)
                return false;
        if (!write_sectors(s->next_sector, (const uint8_t *)buf, sectors)) {
                s->failed = true;
                return false;
        }
        s->next_sector += sectors;
        s->bytes += used;
        s->seq++;
        return true;
}

static bool has_room(const struct trace_store *s, uint32_t count)
{
        const uint64_t bytes = (1 + (uint64_t)count) * sizeof(struct trace_record);
        return s->sectors - s->next_sector > ALIGN_UP(bytes, TRACE_CHUNK_ALIGN) / SECTOR_BYTES; /* one stays free */
}

void store_drain(struct trace_store *s, struct trace *t)
{
        const uint32_t count = t->buffer->head.count;
        const uint64_t begin = hw_rdtsc();
        if (count == 0)
                return;
        if (!has_room(s, count) || !write_chunk(s, t, count))
                t->lost += count;
        t->buffer->head.count = 0;
        trace_emit(t, TRACE_DRAIN, 1, count * (uint32_t)sizeof(struct trace_record), begin, 0);
}

void store_close(struct trace_store *s, struct trace *t)
{
        store_drain(s, t);
        t->buffer->head.count = 0; /* the record of that drain: nothing follows it */
        write_chunk(s, t, 0);
}
