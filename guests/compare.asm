; compare: plays a list of port accesses and records what each one showed. `upcall compare` runs it
; as the firmware of another machine.
;
; The host puts the file at the start of the machine's 64-KiB ROM, with a jump to it at the reset
; vector. It copies itself to RAM and waits. To play a list, the host writes it to STEPS and 1 to
; GO, and reads RECORDS afterwards. src/comparison/qemu/player.ts has the same layout.
;
; A step is 8 bytes: kind (byte), a byte of zero, port (word), value (dword). A record is 12 bytes:
; time-stamp counter before the step (qword), value read (dword).
;
; After each step the guest pulses interrupt line 3, that of the second serial port. The host sees
; it among the other lines, so it knows to which step their changes belong. A pulse after the last
; step says that the records are complete.

GO      equ 0x7000
HERE    equ 0x8000              ; the copy in RAM
STEPS   equ 0x9000
RECORDS equ 0x10000
LENGTH  equ 0x400               ; of this file, at most

MARK_IER equ 0x2f9              ; interrupt enable register of the second serial port
THR_EMPTY equ 2

END_OF_LIST equ 0xff

        bits 16
        org HERE

rom:    ; cs:0 is the start of the ROM. The stack is not used.
        cli
        cld
        xor ax, ax
        mov es, ax
        xor si, si
        mov di, HERE
        mov cx, LENGTH
        cs rep movsb
        jmp 0:idle_segments

idle_segments:
        xor ax, ax
        mov ds, ax
        mov ax, RECORDS >> 4
        mov es, ax
idle:   cmp byte [GO], 0
        je idle
        mov byte [GO], 0
        mov si, STEPS
        xor di, di

step:   rdtsc
        mov [es:di], eax
        mov [es:di+4], edx
        mov dx, [si+2]
        mov eax, [si+4]
        movzx bx, byte [si]
        jmp [kinds+bx]

in8:    in al, dx
        jmp store
in16:   in ax, dx
        jmp store
in32:   in eax, dx
store:  mov [es:di+8], eax
        jmp done
out8:   out dx, al
        jmp done
out16:  out dx, ax
        jmp done
out32:  out dx, eax
        jmp done

        ; QEMU counts one nanosecond an instruction. A long block is translated once and runs fast.
delay:  mov ecx, eax
.round: times 254 nop
        dec ecx
        jnz .round

done:   mov bp, next
        jmp mark
next:   add si, 8
        add di, 12
        cmp byte [si], END_OF_LIST
        jne step
        ; After this pulse the host may write the next list, so the guest reads this one no more.
        mov bp, idle

mark:   mov dx, MARK_IER        ; continues at bp
        mov al, THR_EMPTY
        out dx, al              ; raises the line
        inc dx
        in al, dx               ; IIR: lowers it
        dec dx
        xor al, al
        out dx, al
        jmp bp

        align 2
kinds:  dw in8, in16, in32, out8, out16, out32, delay
        times LENGTH - ($ - $$) db 0
