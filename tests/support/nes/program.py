"""The test program itself: once a frame it reads the pads and logs them, see layout.py for where."""

from __future__ import annotations

from tests.support.nes import layout
from tests.support.nes.assembler import assemble

PRG_SIZE = 16 * 1024
ORIGIN = 0x10000 - PRG_SIZE
VECTORS = 0xFFFA
# Registers of the machine that the program touches.
HARDWARE = {"PPUCTRL": 0x2000, "PPUMASK": 0x2001, "PPUSTATUS": 0x2002, "DMC": 0x4010, "PAD1": 0x4016, "PAD2": 0x4017}
# Everything that layout.py calls by a name in capitals and that is a number: addresses and sizes.
NAMES = HARDWARE | {name: value for name, value in vars(layout).items() if name.isupper() and isinstance(value, int)}

SOURCE = """
reset:    sei                     ; no interrupts but the frame's own
          cld
          ldx #$ff
          txs
          lda #0
          sta PPUCTRL             ; no frame interrupt until RAM is ready
          sta PPUMASK             ; nothing is drawn
          sta DMC                 ; its reads would disturb the pads
          lda #$40
          sta PAD2                ; written, this is the sound frame counter: its interrupt off

          ldx #0                  ; clear page zero and the ring: RAM starts with anything
          lda #0
clear:    sta $0000,x
          sta $0200,x
          sta $0300,x
          sta $0400,x
          sta $0500,x
          sta $0600,x
          sta $0700,x
          inx
          bne clear
          lda #<RING
          sta ROW
          lda #>RING
          sta ROW+1

          bit PPUSTATUS           ; the picture unit ignores us for its first two frames
warm1:    bit PPUSTATUS
          bpl warm1
warm2:    bit PPUSTATUS
          bpl warm2

          lda #76                 ; "L"
          sta MARK
          lda #79                 ; "O"
          sta MARK+1
          lda #71                 ; "G"
          sta MARK+2
          lda #49                 ; "1"
          sta MARK+3
          lda #$80
          sta PPUCTRL             ; from now on an interrupt each frame does the work
idle:     jmp idle

frame:    jsr readpads            ; registers need no saving: the idle loop uses none
          jsr count
          jsr hash
          jsr log
          inc FRAME
          bne done
          inc FRAME+1
done:     rti

readpads: lda #1                  ; latch all pads ...
          sta PAD1
          lda #0
          sta PAD1                ; ... and let them shift out, one bit for each read
          ldx #0                  ; x = 0: pads 1 and 2, 2: pads 3 and 4, 4: the adapter's signature
pair:     ldy #8
shift:    lda PAD1
          lsr a
          rol PADS,x
          lda PAD2
          lsr a
          rol PADS+1,x
          dey
          bne shift
          inx
          inx
          cpx #6
          bne pair
          lda SIGNATURE
          cmp #$10
          bne two
          lda SIGNATURE+1
          cmp #$20
          bne two
          rts
two:      lda #0                  ; no adapter: what was read as pads 3 and 4 is noise
          sta PADS+2
          sta PADS+3
          rts

count:    ldx #0                  ; x runs over all counters, y over the pads
          ldy #0
pad:      lda PREVIOUS,y
          eor #$ff
          and PADS,y              ; down now and not before
          sta EDGES
          lda PADS,y
          sta PREVIOUS,y
button:   asl EDGES
          bcc up
          inc PRESSES,x
up:       inx
          txa
          and #7
          bne button
          iny
          cpy #PAD_COUNT
          bne pad
          rts

hash:     lda FRAME
          jsr mix
          lda FRAME+1
          jsr mix
          lda PADS
          jsr mix
          lda PADS+1
          jsr mix
          lda PADS+2
          jsr mix
          lda PADS+3
mix:      eor CHECK+1             ; one byte into the CRC-16, its high byte is CHECK+1
          sta CHECK+1
          ldx #8
bits:     asl CHECK
          rol CHECK+1
          bcc even
          lda CHECK+1
          eor #$10
          sta CHECK+1
          lda CHECK
          eor #$21
          sta CHECK
even:     dex
          bne bits
          rts

log:      ldy #0                  ; a row: FRAME, PADS, CHECK
          lda FRAME
          sta (ROW),y
          iny
          lda FRAME+1
          sta (ROW),y
          iny
          ldx #0
copy:     lda PADS,x
          sta (ROW),y
          iny
          inx
          cpx #PAD_COUNT
          bne copy
          lda CHECK
          sta (ROW),y
          iny
          lda CHECK+1
          sta (ROW),y
          lda ROW
          clc
          adc #ROW_SIZE
          sta ROW
          bcc next
          inc ROW+1
next:     inc NEXT_ROW
          lda NEXT_ROW
          cmp #ROWS
          bne logged
          lda #0                  ; the ring is full: from the start again
          sta NEXT_ROW
          lda #<RING
          sta ROW
          lda #>RING
          sta ROW+1
logged:   rts
"""


def program() -> bytes:
    """Return the whole program bank: the code, filled up with zeros to the interrupt vectors at its end."""
    code, labels = assemble(SOURCE, ORIGIN, NAMES)
    vectors, _ = assemble(".word frame\n.word reset\n.word reset", VECTORS, labels)
    return code.ljust(VECTORS - ORIGIN, b"\0") + vectors
