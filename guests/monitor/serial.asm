; The console: a 16550 at port 0x3f8, 115200 baud 8N1. Output waits for the transmitter; input comes
; by interrupt line 4 into a ring, so that the vCPU can halt at the prompt, or by polling where that
; line is dead. Names are those of the 16550D data sheet.

UART            equ 0x3f8
UART_DATA       equ UART + 0            ; received byte, byte to send; divisor low while DLAB is set
UART_IER        equ UART + 1            ; interrupt enable; divisor high while DLAB is set
UART_IIR        equ UART + 2            ; read: which interrupt
UART_FCR        equ UART + 2            ; write: FIFO control
UART_LCR        equ UART + 3
UART_MCR        equ UART + 4
UART_LSR        equ UART + 5

IER_RECEIVED    equ 0x01
IER_SENT        equ 0x02
IIR_FIFOS       equ 0xc0
FCR_ENABLE      equ 0x01                ; and a trigger level of one byte
LCR_8N1         equ 0x03
LCR_DLAB        equ 0x80
MCR_READY       equ 0x0b                ; DTR, RTS, and OUT2 which connects the interrupt line on a PC
LSR_RECEIVED    equ 0x01
LSR_EMPTY       equ 0x20
ABSENT          equ 0xff

CTRL_C          equ 3
FIFO_BYTES      equ 16
KEY_RING_BYTES  equ 256                 ; a power of two
TAKE_LIMIT      equ 1024                ; bytes taken in one go: a device that always has one more must not keep us
SEND_PATIENCE   equ 20000               ; looks at the transmitter before a byte is sent regardless
SHORT_PATIENCE  equ 16                  ; the same, once it was found stuck
SELF_TEST_SPINS equ 2000000

        section .bss
key_ring:               resb KEY_RING_BYTES
key_head:               resd 1          ; next free place
key_tail:               resd 1          ; next byte to take
send_room:              resd 1          ; bytes that fit before the transmitter must be looked at again
send_depth:             resd 1          ; bytes that an empty transmitter takes
send_patience:          resd 1
input_by_interrupt:     resb 1
input_paused:           resb 1          ; the ring was full, so the UART's interrupt is off and it keeps its bytes
aborted:                resb 1          ; Ctrl-C came

        section .text
init_serial:
        pushad
        mov     dword [send_patience], SEND_PATIENCE
        call    take_received           ; switching the FIFOs on would lose what is there
        out_byte UART_IER, 0
        out_byte UART_LCR, LCR_DLAB | LCR_8N1
        out_byte UART_DATA, 1           ; 115200 baud
        out_byte UART_IER, 0
        out_byte UART_LCR, LCR_8N1
        out_byte UART_FCR, FCR_ENABLE
        call    arm_serial
        popad
        ret

; Puts the registers that the console needs back in order: the user may have been poking at this
; very UART. Switching the interrupt off and on makes a new edge for a byte that is already there,
; should the edge have been lost.
arm_serial:
        pushad
        pushfd
        cli
        out_byte UART_LCR, LCR_8N1
        out_byte UART_MCR, MCR_READY
        out_byte UART_IER, 0
        cmp     byte [input_by_interrupt], 0
        je      .polled
        out_byte UART_IER, IER_RECEIVED
.polled:
        mov     byte [input_paused], 0
        mov     dword [send_room], 0
        mov     dword [send_depth], 1
        in_byte UART_IIR
        cmp     al, ABSENT
        je      .done
        and     al, IIR_FIFOS
        cmp     al, IIR_FIFOS
        jne     .done
        mov     dword [send_depth], FIFO_BYTES
.done:
        popfd
        popad
        ret

; Finds out whether line 4 works: an empty transmitter interrupts as soon as that interrupt is
; enabled.
find_input_mode:
        pushad
        mov     ecx, 4
        call    unmask_line
        out_byte UART_IER, IER_SENT
        mov     ecx, SELF_TEST_SPINS
.wait:  cmp     dword [line_counts + 4 * 4], 0
        jne     .works
        dec     ecx
        jnz     .wait
        jmp     .done
.works: mov     byte [input_by_interrupt], 1
.done:
        mov     dword [line_counts + 4 * 4], 0
        call    mask_lines
        call    arm_serial
        popad
        ret

; AL: a byte to send.
put_char:
        push    eax
        push    ecx
        push    edx
        cmp     dword [send_room], 0
        jne     .send
        push    eax
        mov     ecx, [send_patience]
.poll:  in_byte UART_LSR
        test    al, LSR_EMPTY
        jnz     .empty
        dec     ecx
        jnz     .poll
        mov     dword [send_patience], SHORT_PATIENCE
        mov     dword [send_room], 1
        jmp     .ready
.empty: mov     dword [send_patience], SEND_PATIENCE
        mov     eax, [send_depth]
        mov     [send_room], eax
.ready: pop     eax
.send:  mov     edx, UART_DATA
        out     dx, al
        dec     dword [send_room]
        pop     edx
        pop     ecx
        pop     eax
        ret

; The interrupt of line 4. Reading the IIR takes back the transmitter's interrupt of the self-test.
serial_interrupt:
        push    eax
        push    edx
        in_byte UART_IIR
        pop     edx
        pop     eax
        ; fall through

; Moves what the UART has received into the ring. Interrupts are off.
take_received:
        pushad
        mov     ecx, TAKE_LIMIT
.next:  in_byte UART_LSR
        cmp     al, ABSENT
        je      .done
        test    al, LSR_RECEIVED
        jz      .done
        mov     ebx, [key_head]
        lea     esi, [ebx + 1]
        and     esi, KEY_RING_BYTES - 1
        cmp     esi, [key_tail]
        je      .pause
        in_byte UART_DATA
        cmp     al, CTRL_C
        je      .abort
        mov     [key_ring + ebx], al
        mov     [key_head], esi
        jmp     .more
.abort: mov     byte [aborted], 1
        mov     [key_tail], ebx         ; and drop what was typed ahead
.more:  dec     ecx
        jnz     .next
.pause: cmp     byte [input_by_interrupt], 0
        je      .done
        out_byte UART_IER, 0
        mov     byte [input_paused], 1
.done:  popad
        ret

; Carry when Ctrl-C came. Long commands ask now and then.
check_abort:
        cmp     byte [input_by_interrupt], 0
        jne     .poll
        pushfd
        cli
        call    take_received
        popfd
.poll:  cmp     byte [aborted], 1
        cmc                             ; 1 - 1 borrows nothing, 0 - 1 does
        ret

; AL: the next key; waits for it as long as it takes, halted where line 4 works. Ctrl-C is a key
; here.
get_key:
        push    ecx
        push    edx
.again: cli
        mov     dword [storm_left], STORM_LIMIT
        cmp     byte [aborted], 0
        jne     .ctrl_c
        mov     ecx, [key_tail]
        cmp     ecx, [key_head]
        jne     .take
        cmp     byte [input_paused], 0
        je      .wait
        mov     byte [input_paused], 0
        out_byte UART_IER, IER_RECEIVED
.wait:  cmp     byte [input_by_interrupt], 0
        je      .poll
.halt:  sti                             ; takes effect after the halt has begun: no interrupt slips between
        hlt
        jmp     .again
.poll:  call    take_received
        mov     ecx, [key_tail]
        cmp     ecx, [key_head]
        jne     .again
        in_byte UART_LSR
        cmp     al, ABSENT
        je      .halt                   ; no UART, no key: sleep until some interrupt
        sti
        mov     ecx, 2000
.spin:  dec     ecx
        jnz     .spin
        jmp     .again
.take:  mov     al, [key_ring + ecx]
        inc     ecx
        and     ecx, KEY_RING_BYTES - 1
        mov     [key_tail], ecx
        jmp     .done
.ctrl_c:
        mov     byte [aborted], 0
        mov     al, CTRL_C
.done:  sti
        pop     edx
        pop     ecx
        ret
