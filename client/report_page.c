/* SPDX-License-Identifier: MIT */
#include "report_page.h"

/* The assembler finds the file by -I (CMakeLists.txt), and takes it byte by byte. */
__asm__(".section .rodata\n"
        ".global report_page\n"
        "report_page:\n"
        ".incbin \"report_page.html\"\n"
        ".byte 0\n"
        ".previous\n");
