"""A short text on volcanoes, with headings, as a lesson's source."""

VOLCANOES = """# Volcanoes

## What a volcano is
A volcano is an opening in the crust of the Earth through which molten rock, ash and gases \
escape. Molten rock below the surface is called magma. When magma reaches the surface, it \
is called lava. Most volcanoes are found along the edges of tectonic plates, where the \
crust is weak.

## Types of volcanoes
A shield volcano has gentle slopes because its lava is runny and flows far. A \
stratovolcano is tall and steep, built from layers of lava and ash. Cinder cones are the \
smallest type and consist of loose fragments around a single vent. Mauna Loa in Hawaii is \
a shield volcano.

## Eruptions
An eruption begins when pressure in the magma chamber rises. Gas bubbles in the magma \
expand and push the molten rock upwards. Explosive eruptions throw ash high into the \
atmosphere. Effusive eruptions pour lava onto the ground. Volcanic ash can damage aircraft \
engines and harm crops. Scientists watch earthquakes, gas and the shape of the ground to \
forecast eruptions.

## Life near volcanoes
Volcanic soil is fertile, so many people farm on the slopes. Geothermal energy uses the \
heat of the rock to make electricity. Evacuation plans protect villages when an eruption \
is expected.
"""
