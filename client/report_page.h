/* SPDX-License-Identifier: MIT */
/* report_page.html, as it stands in the sources. */
#pragma once

extern const char report_page[];
