/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <stddef.h>

#include "disk.h"

/* ATA command block of the primary channel (ATA/ATAPI "Task file"). */
#define ATA_DATA          0x1f0
#define ATA_COUNT         0x1f2
#define ATA_LBA_LOW       0x1f3
#define ATA_LBA_MID       0x1f4
#define ATA_LBA_HIGH      0x1f5
#define ATA_DEVICE        0x1f6
#define ATA_COMMAND       0x1f7
#define ATA_STATUS        0x1f7
#define ATA_CONTROL       0x3f6
#define CONTROL_NIEN      0x02
#define STATUS_ERR        0x01
#define STATUS_DRQ        0x08
#define STATUS_DF         0x20
#define STATUS_BSY        0x80
#define DEVICE_LBA_MASTER 0xe0
#define CMD_READ_SECTORS  0x20
#define COMMAND_SECTORS   256 /* what a count of 0 asks for */
#define LBA28_LIMIT       (1u << 28)
#define STATUS_TRIES      100000000u

#define PORT_E9          0xe9
#define PORT_SHUTDOWN    0x8900
#define E820_RAM         1
#define LOW_END          0x10000u /* loader, its stack and the BIOS's data are below */
#define START_INFO_MAGIC 0x336ec578u
#define START_INFO_V1    1
#define MODULES_MAX      CATALOGUE_BLOBS

struct hvm_start_info {
        uint32_t magic, version, flags, nr_modules;
        uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
        uint32_t memmap_entries, reserved;
};

struct hvm_modlist_entry {
        uint64_t paddr, size, cmdline_paddr, reserved;
};

struct hvm_memmap_entry {
        uint64_t addr, size;
        uint32_t type, reserved;
};

extern const uint32_t e820_count;
extern const struct e820_entry e820_map[E820_MAX];
uint32_t load(void);

/* Handed to the image, which copies what it keeps: this memory is low and in no one's way. */
struct hvm_start_info start_info;
static struct hvm_modlist_entry modlist[MODULES_MAX];
static struct hvm_memmap_entry memmap[E820_MAX];
static union {
        uint8_t sector[SECTOR_BYTES];
        struct catalogue c;
} cat;

static inline void outb(uint16_t port, uint8_t val)
{
        __asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
        uint8_t val;

        __asm__ volatile("inb %1, %0" : "=a"(val) : "Nd"(port));
        return val;
}

static void say(const char *s)
{
        while (*s)
                outb(PORT_E9, (uint8_t)*s++);
}

/* 53 is EXIT_STATUS_EMULATOR_FAILED: the machine, not the image, is at fault. */
static _Noreturn void stop(const char *why)
{
        say("@cascade level=1 event=exit status=53 reason=boot loader: ");
        say(why);
        say("\n");
        outb(PORT_SHUTDOWN, 'D');
        for (;;)
                __asm__ volatile("cli; hlt");
}

static void wait_data(void)
{
        for (uint32_t i = 0; i < STATUS_TRIES; i++) {
                const uint8_t status = inb(ATA_STATUS);

                if (status & STATUS_BSY)
                        continue;
                if (status & (STATUS_ERR | STATUS_DF))
                        stop("the disk reports an error");
                if (status & STATUS_DRQ)
                        return;
        }
        stop("the disk does not answer");
}

static void wait_idle(void)
{
        for (uint32_t i = 0; i < STATUS_TRIES; i++)
                if (!(inb(ATA_STATUS) & (STATUS_BSY | STATUS_DRQ)))
                        return;
        stop("the disk stays busy");
}

static inline void *read_sector(void *to)
{
        uint32_t words = SECTOR_BYTES / 2;

        __asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"(ATA_DATA) : "memory");
        return to;
}

static uint8_t *read_sectors(uint8_t *to, uint32_t lba, uint32_t sectors)
{
        while (sectors > 0) {
                const uint32_t n = sectors < COMMAND_SECTORS ? sectors : COMMAND_SECTORS;

                if (lba >= LBA28_LIMIT - n)
                        stop("a block address is out of range");
                wait_idle();
                outb(ATA_DEVICE, (uint8_t)(DEVICE_LBA_MASTER | lba >> 24));
                outb(ATA_COUNT, (uint8_t)n);
                outb(ATA_LBA_LOW, (uint8_t)lba);
                outb(ATA_LBA_MID, (uint8_t)(lba >> 8));
                outb(ATA_LBA_HIGH, (uint8_t)(lba >> 16));
                outb(ATA_COMMAND, CMD_READ_SECTORS);
                for (uint32_t i = 0; i < n; i++) {
                        wait_data();
                        to = read_sector(to);
                }
                lba += n;
                sectors -= n;
        }
        return to;
}

static void copy(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void zero(uint8_t *to, uint32_t bytes)
{
        uint32_t words = bytes / 4, rest = bytes % 4;

        __asm__ volatile("rep stosl" : "+D"(to), "+c"(words) : "a"(0) : "memory");
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(0) : "memory");
}

static bool in_ram(uint64_t addr, uint64_t bytes)
{
        if (addr < LOW_END || bytes > UINT32_MAX)
                return false;
        for (uint32_t i = 0; i < e820_count; i++) {
                const struct e820_entry *e = &e820_map[i];

                if (e->type != E820_RAM || addr < e->addr || bytes > e->bytes)
                        continue;
                if (addr - e->addr <= e->bytes - bytes)
                        return addr + bytes <= UINT32_MAX;
        }
        return false;
}

/* Whole sectors go straight to their place; the last part of one goes through a buffer, as what lies behind
 * the blob may be another's. */
static void load_blob(const struct blob *b)
{
        uint8_t tail[SECTOR_BYTES];
        uint8_t *to = (uint8_t *)(uint32_t)b->phys;
        const uint32_t whole = (uint32_t)b->bytes / SECTOR_BYTES;
        const uint32_t rest = (uint32_t)b->bytes % SECTOR_BYTES;

        if (b->zero_bytes > UINT32_MAX || b->bytes > UINT32_MAX || !in_ram(b->phys, b->bytes + b->zero_bytes))
                stop("a part of the image or a module does not lie in memory");
        to = read_sectors(to, b->lba, whole);
        if (rest) {
                read_sectors(tail, b->lba + whole, 1);
                copy(to, tail, rest);
        }
        zero(to + rest, (uint32_t)b->zero_bytes);
}

static void describe_memory(void)
{
        for (uint32_t i = 0; i < e820_count; i++)
                memmap[i] = (struct hvm_memmap_entry){
                        .addr = e820_map[i].addr, .size = e820_map[i].bytes, .type = e820_map[i].type };
        start_info.memmap_paddr = (uint32_t)memmap;
        start_info.memmap_entries = e820_count;
}

uint32_t load(void)
{
        outb(ATA_CONTROL, CONTROL_NIEN); /* polled: an interrupt would find no handler */
        read_sectors(cat.sector, CATALOGUE_LBA, 1);
        if (cat.c.magic != CATALOGUE_MAGIC || cat.c.count > CATALOGUE_BLOBS)
                stop("there is no catalogue on the disk");
        start_info.magic = START_INFO_MAGIC;
        start_info.version = START_INFO_V1;
        start_info.modlist_paddr = (uint32_t)modlist;
        for (uint32_t i = 0; i < cat.c.count; i++) {
                const struct blob *b = &cat.c.blob[i];

                load_blob(b);
                if (b->kind == BLOB_CMDLINE)
                        start_info.cmdline_paddr = b->phys;
                if (b->kind == BLOB_MODULE)
                        modlist[start_info.nr_modules++] =
                                (struct hvm_modlist_entry){ .paddr = b->phys, .size = b->bytes };
        }
        describe_memory();
        outb(ATA_CONTROL, 0);
        return cat.c.entry;
}
