// What an asm statement of the instruction wgmma names for its sums [64, n]: 4 registers a lane and
// tile of 8 columns, sum[i][0] to sum[i][3], which are counted first, so that other operands begin
// at %(n / 2). RUNG_WGMMA(n) "left, right, ..", with RUNG_SUMS_n("+f") as outputs ("=f": not read).
#pragma once

#define RUNG_REGISTERS_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define RUNG_REGISTERS_32 RUNG_REGISTERS_16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define RUNG_REGISTERS_64 \
  RUNG_REGISTERS_32       \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define RUNG_REGISTERS_128                                                           \
  RUNG_REGISTERS_64                                                                  \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define RUNG_REGISTERS_192                                                           \
  RUNG_REGISTERS_128                                                                 \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define RUNG_REGISTERS_256                                                                       \
  RUNG_REGISTERS_192                                                                             \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, " \
  "%127"

#define RUNG_WGMMA(n) \
  "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" RUNG_REGISTERS_##n "}, "

#define RUNG_SUM(io, i) io(sum[i][0]), io(sum[i][1]), io(sum[i][2]), io(sum[i][3])
#define RUNG_SUMS(io, i) \
  RUNG_SUM(io, i), RUNG_SUM(io, i + 1), RUNG_SUM(io, i + 2), RUNG_SUM(io, i + 3)
#define RUNG_SUMS_16(io) RUNG_SUM(io, 0), RUNG_SUM(io, 1)
#define RUNG_SUMS_32(io) RUNG_SUMS(io, 0)
#define RUNG_SUMS_64(io) RUNG_SUMS_32(io), RUNG_SUMS(io, 4)
#define RUNG_SUMS_128(io) RUNG_SUMS_64(io), RUNG_SUMS(io, 8), RUNG_SUMS(io, 12)
#define RUNG_SUMS_192(io) RUNG_SUMS_128(io), RUNG_SUMS(io, 16), RUNG_SUMS(io, 20)
#define RUNG_SUMS_256(io) RUNG_SUMS_192(io), RUNG_SUMS(io, 24), RUNG_SUMS(io, 28)
