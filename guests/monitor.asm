; monitor: a small interactive program that runs bare on a PC. Authors of devices use it to poke at
; them from the guest's side: ports, memory, PCI, interrupts and how long an access takes. Its
; console is the 16550 at port 0x3f8.
;
; Any loader that knows multiboot 1 starts it (the header carries the addresses, so the file is a
; plain binary). A command line given by the loader is run first: "tour; poweroff" is a whole
; session.
;
;       nasm -f bin -o monitor.bin monitor.asm          in this folder
;
; Rules of the sources:
; - A routine keeps every register but those in which its comment says that it gives a result. Flags are free; a carry
;   means "no" or "none".
; - ESI is the cursor in the command's text while a command reads its operands.
; - `fail "..."` prints an error and abandons the command: the stack is simply set up anew (session.asm).
; - Hardware may be absent, which reads as all ones, or hostile: every wait has a bound. Only the wait for a key has none.

        bits    32
        org     0x100000                ; 1 MiB, where multiboot programs usually go

        section .text   align=16
        section .data   align=16
        section .names  align=4 follows=.data           ; tables that are written beside what they list
        section .steps  align=4 follows=.names
        section .classes align=4 follows=.steps
        section .commands align=4 follows=.classes
        section .bss    align=16 nobits follows=.commands

; multiboot 1 header (specification 0.6.96)

MULTIBOOT_MAGIC         equ 0x1badb002
MULTIBOOT_BOOTED        equ 0x2badb002  ; in EAX when a loader starts us
MULTIBOOT_MEMORY_INFO   equ 1 << 1      ; we ask for the size of memory
MULTIBOOT_ADDRESSES     equ 1 << 16     ; the header has the five address fields
MULTIBOOT_FLAGS         equ MULTIBOOT_MEMORY_INFO | MULTIBOOT_ADDRESSES

STACK_BYTES             equ 16384

        section .text
image_start:
multiboot_header:
        dd      MULTIBOOT_MAGIC
        dd      MULTIBOOT_FLAGS
        dd      -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS) & 0xffffffff
        dd      multiboot_header        ; where this header itself lies
        dd      image_start             ; load the file here
        dd      image_end               ; up to here
        dd      bss_end                 ; and zeroes up to here
        dd      start

        %include "monitor/macros.asm"

        section .bss
bss_start:
multiboot_info:         resd 1          ; 0 when no multiboot loader started us

; entry

        section .text
start:
        cli
        cld
        lgdt    [gdt_pointer]
        jmp     CODE_SELECTOR:.flat
.flat:
        mov     cx, DATA_SELECTOR
        mov     ds, ecx
        mov     es, ecx
        mov     fs, ecx
        mov     gs, ecx
        mov     ss, ecx
        mov     esp, stack_top

        mov     edx, eax                ; the loader should have zeroed this; not all do
        mov     edi, bss_start
        mov     ecx, bss_end
        sub     ecx, edi
        xor     eax, eax
        rep stosb
        cmp     edx, MULTIBOOT_BOOTED
        jne     .no_info
        mov     [multiboot_info], ebx
.no_info:
        call    init_cpu
        call    init_interrupts
        call    init_lines
        call    init_serial
        sti
        call    find_input_mode
        call    greet
        call    start_script
        jmp     next_command

greet:
        print   13, 10, "monitor: a guest of upcall, for poking at hardware from inside.", 13, 10
        print   "Type help for the commands, tour for a short look around.", 13, 10
        cmp     byte [input_by_interrupt], 0
        jne     .done
        print   "Line 4 gave no interrupt, so the serial port is polled for input.", 13, 10
.done:
        ret

        section .data   align=16
; Flat: every segment is the whole 4 GiB.
CODE_SELECTOR   equ 0x08
DATA_SELECTOR   equ 0x10
gdt:
        dq      0
        dq      0x00cf9b000000ffff      ; code, readable, 32 bit
        dq      0x00cf93000000ffff      ; data, writable
gdt_pointer:
        dw      $ - gdt - 1
        dd      gdt

        section .text
        %include "monitor/serial.asm"
        %include "monitor/format.asm"
        %include "monitor/parser.asm"
        %include "monitor/line-editor.asm"
        %include "monitor/session.asm"
        %include "monitor/exceptions.asm"
        %include "monitor/lines.asm"
        %include "monitor/arithmetic.asm"
        %include "monitor/timers.asm"
        %include "monitor/gauge.asm"
        ; Commands, in the order in which help lists them.
        %include "monitor/tour.asm"
        %include "monitor/access.asm"
        %include "monitor/time.asm"
        %include "monitor/pci.asm"
        %include "monitor/clock.asm"
        %include "monitor/irq.asm"
        %include "monitor/machine.asm"
        %include "monitor/power.asm"
        %include "monitor/help.asm"

        section .commands
commands_end:
image_end:

        section .bss
        alignb  16
                        resb STACK_BYTES
stack_top:
bss_end:
