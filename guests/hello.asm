; hello: the smallest guest that does something useful. A flat 16-bit program, started in real mode at 0:0x7c00: it greets
; on the serial port, reads a byte from port 0x500 (where examples put their own device), prints it as two hexadecimal
; digits and switches the machine off.
;
;       nasm -f bin -o hello.bin hello.asm              in this folder

        bits    16
        org     0x7c00

SERIAL          equ 0x3f8               ; no look at its status: an emulated transmitter is ready, or drops the byte
DEVICE          equ 0x500
PM_CONTROL      equ 0x404               ; ACRN's virtual PM1a control register
PM_SLEEP_S5     equ 0x3400              ; sleep enable (bit 13) and sleep type 5, which is off

start:
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, start               ; the stack grows down from below the program

        mov     si, greeting
        call    put_text

        mov     dx, DEVICE
        in      al, dx
        mov     ah, al
        shr     al, 4
        call    put_digit
        mov     al, ah
        and     al, 15
        call    put_digit
        mov     si, line_end
        call    put_text

        mov     dx, PM_CONTROL
        mov     ax, PM_SLEEP_S5
        out     dx, ax
halt:
        hlt                             ; with interrupts off: forever
        jmp     halt

; SI: text that ends with a zero.
put_text:
        lodsb
        test    al, al
        jz      .done
        call    put_char
        jmp     put_text
.done:  ret

; AL: 0 to 15.
put_digit:
        add     al, '0'
        cmp     al, '9'
        jbe     put_char
        add     al, 'a' - '9' - 1
put_char:
        mov     dx, SERIAL
        out     dx, al
        ret

greeting:
        db      "Hello from the guest"
line_end:
        db      13, 10, 0
